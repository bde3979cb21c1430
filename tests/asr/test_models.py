"""Models are found without a network, fetched whole or not at all, and verified."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from asr import rehearsal
from asr.errors import FetchFailed, ModelDamaged, ModelMissing, UnknownModel
from asr.models import default_model, fetch, resolve, verify
from tests.asr.hub import Hub, serving, sha

FILES = {
    "config.json": b"{}",
    "model.bin": bytes(range(256)) * 800,
    "tokenizer.json": b'{"model": 1}',
    "vocabulary.json": b"[]",
    "README.md": b"# not fetched",
}


@pytest.fixture(params=["hub", "modelscope"])
def source(request: pytest.FixtureRequest) -> Iterator[tuple[Hub, str]]:
    with serving(Hub("Systran/faster-whisper-small", dict(FILES))) as hub:
        yield hub, hub.url if request.param == "hub" else f"modelscope+{hub.url}"


def test_a_model_that_is_not_here_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="viva models fetch large-v3-turbo"):
        resolve("large-v3-turbo", tmp_path)
    with pytest.raises(ModelMissing, match="viva models fetch someone/whisper-ct2"):
        resolve("someone/whisper-ct2", tmp_path)


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    for name in ("largest", "a/b/c", "../x", "/nowhere/x"):
        with pytest.raises((UnknownModel, ModelMissing), match="large-v3-turbo"):
            resolve(name, tmp_path)


def test_a_folder_is_taken_as_it_is_and_must_be_whole(tmp_path: Path) -> None:
    assert resolve(str(rehearsal.MODEL_DIR), tmp_path) == rehearsal.MODEL_DIR
    assert resolve("rehearsal", tmp_path) == rehearsal.MODEL_DIR
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelDamaged, match=r"model\.bin"):
        resolve(str(tmp_path), tmp_path)


def test_the_default_fits_the_device() -> None:
    assert default_model("cuda") == "large-v3-turbo"
    assert default_model("cpu") == "small"


def test_a_fetched_model_is_found_verified_and_knows_its_source(
    source: tuple[Hub, str], tmp_path: Path
) -> None:
    _, address = source
    seen: dict[str, tuple[int, int]] = {}
    path = fetch(
        "small",
        tmp_path,
        source=address,
        progress=lambda file, done, total: seen.update({file: (done, total)}),
    )
    assert resolve("small", tmp_path) == path == tmp_path / "small"
    assert not (path / "README.md").exists()
    assert verify(path) == {n: sha(d) for n, d in FILES.items() if n != "README.md"}
    assert seen["model.bin"] == (len(FILES["model.bin"]), len(FILES["model.bin"]))
    manifest = json.loads((path / "manifest.json").read_text())
    assert (manifest["source"], manifest["repository"]) == (
        address,
        "Systran/faster-whisper-small",
    )


def test_a_download_that_breaks_off_goes_on_where_it_stopped(
    source: tuple[Hub, str], tmp_path: Path
) -> None:
    hub, address = source
    hub.cut_after["model.bin"] = 70_000
    with pytest.raises(FetchFailed, match=r"model\.bin.*The same command goes on"):
        fetch("small", tmp_path, source=address)
    with pytest.raises(ModelMissing):
        resolve("small", tmp_path)
    assert verify(fetch("small", tmp_path, source=address))["model.bin"] == sha(FILES["model.bin"])
    (wanted,) = hub.ranges
    assert 0 < int(wanted.removeprefix("model.bin bytes=").rstrip("-")) <= 70_000


def test_a_wrong_checksum_is_thrown_away(source: tuple[Hub, str], tmp_path: Path) -> None:
    hub, address = source
    hub.corrupt.add("model.bin")
    with pytest.raises(FetchFailed, match="wrong checksum"):
        fetch("small", tmp_path, source=address)
    assert not list(tmp_path.rglob("model.bin"))
    hub.corrupt.clear()
    assert fetch("small", tmp_path, source=address).is_dir()


def test_what_the_source_lacks_is_named(source: tuple[Hub, str], tmp_path: Path) -> None:
    hub, address = source
    with pytest.raises(FetchFailed, match="has no model Systran/faster-whisper-base"):
        fetch("base", tmp_path, source=address)
    hub.missing.add("tokenizer.json")
    with pytest.raises(FetchFailed, match=r"tokenizer\.json: the server answered 404"):
        fetch("small", tmp_path, source=address)
    del hub.files["tokenizer.json"]
    with pytest.raises(FetchFailed, match=r"it has no tokenizer\.json"):
        fetch("small", tmp_path, source=address)


def test_a_source_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with serving(Hub("a/b", {})) as gone:
        pass
    for address in (gone.url, f"modelscope+{gone.url}"):
        with pytest.raises(FetchFailed, match="Cannot list"):
            fetch("small", tmp_path, source=address)
    with pytest.raises(FetchFailed, match="not hub, modelscope"):
        fetch("small", tmp_path, source="ftp://x")


def test_a_file_that_changed_on_disk_is_found_out(source: tuple[Hub, str], tmp_path: Path) -> None:
    path = fetch("small", tmp_path, source=source[1])
    (path / "model.bin").write_bytes(b"changed")
    with pytest.raises(ModelDamaged, match="has changed on disk"):
        verify(path)
    (path / "model.bin").unlink()
    with pytest.raises(ModelDamaged, match="is missing"):
        verify(path)


def test_a_folder_that_cannot_be_written_is_named(source: tuple[Hub, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FetchFailed, match="Cannot write small"):
        fetch("small", tmp_path / "file", source=source[1])
