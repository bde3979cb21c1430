"""What is counted of a page's load."""

from __future__ import annotations

from collections import Counter

from bench.first_load import BARE, Load, Wire, every


def test_only_what_came_over_the_wire_is_counted() -> None:
    wire = Wire()
    for request, kind, size in (("1", "Document", 900), ("2", "Script", 400), ("3", "Script", 0)):
        wire._begun({"requestId": request, "type": kind})
        wire._done({"requestId": request, "encodedDataLength": size})
    assert wire.requests == 2
    assert wire.kinds == Counter(document=900, script=400)


def test_paint_is_compared_with_the_bare_page_by_medians() -> None:
    bare = [Load(1, Counter(document=500), ms) for ms in (10.0, 20.0, 90.0)]
    page = [Load(3, Counter(document=900, script=100), ms) for ms in (40.0, 30.0, 20.0)]
    found = every({BARE: bare, "call page": page})["call page"]
    assert found["first_paint_to_bare"] == 1.5
    assert (found["requests"], found["bytes"]) == (3, 1000)
