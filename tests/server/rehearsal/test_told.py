"""What the server says of an event when it is durable is what the log has of it."""

from pathlib import Path

from written_calls import Typist, house, invited

from server.rehearsal import evidence, model
from server.rehearsal.faults import NONE
from server.rehearsal.run import shipped_plan
from server.rehearsal.survival import losses

PLAN = shipped_plan("rehearsal_en.yaml")


async def test_every_event_is_told_with_the_hash_that_the_log_gives_it(tmp_path: Path) -> None:
    with model.serving(NONE) as url:
        async with house(tmp_path, url) as server, server.operator() as operator:
            mine = await invited(operator, PLAN)
            async with Typist(server.base_url, mine.token) as candidate:
                await candidate.answers(PLAN, "warm_up", "I enjoy reading.")
            told = [one for one in candidate.read if one["type"] == "committed"]
            left = await evidence.fetch(operator, mine.interview_id, {})
    found = losses(told, left.entries, [])
    assert found.missing == () and found.committed == len(told) > 5
    changed = [one | {"sha256": "0" * 64} for one in told]
    assert len(losses(changed, left.entries, []).missing) == len(told)
