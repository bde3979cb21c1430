"""Models are fetched whole or not at all, go on where they stopped, and are verified."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from asr.errors import ModelMissing, UnknownModel
from asr.models import resolve
from server import catalogue, fetching, manifest
from server.hub import FetchFailed
from server.manifest import FilesDamaged, verify
from tests.server.loopback_hub import Hub, serving, sha

FILES = {
    "config.json": b"{}",
    "model.bin": bytes(range(256)) * 800,
    "tokenizer.json": b'{"model": 1}',
    "vocabulary.json": b"[]",
    "README.md": b"# not fetched",
}
SENSEVOICE = "csukuangfj/sherpa-onnx-sense-voice-zh-en-ja-ko-yue-2024-07-17"


def fetch(name: str, folder: Path, **options: Any) -> Path:
    """As `viva models fetch` does."""
    known = catalogue.find(name)
    options.setdefault("repository", known.repository)
    return fetching.fetch(name, folder, kinds=known.kinds, **options)


@pytest.fixture(params=["hub", "modelscope"])
def source(request: pytest.FixtureRequest) -> Iterator[tuple[Hub, str]]:
    with serving(Hub("Systran/faster-whisper-small", dict(FILES))) as hub:
        yield hub, hub.url if request.param == "hub" else f"modelscope+{hub.url}"


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
    found = manifest.read(path)
    assert (found["source"], found["repository"]) == (
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
    with pytest.raises(FilesDamaged, match="has changed on disk"):
        verify(path)
    (path / "model.bin").unlink()
    with pytest.raises(FilesDamaged, match="is missing"):
        verify(path)


def test_a_folder_that_cannot_be_written_is_named(source: tuple[Hub, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FetchFailed, match="Cannot write small"):
        fetch("small", tmp_path / "file", source=source[1])


def test_a_folder_without_its_list_of_files_cannot_be_verified(tmp_path: Path) -> None:
    for content, reason in ((None, "not fetched by viva"), ("[", "not JSON"), ("[]", "no files")):
        if content is not None:
            (tmp_path / manifest.NAME).write_text(content)
        with pytest.raises(FilesDamaged, match=reason):
            verify(tmp_path)


@pytest.mark.parametrize(
    ("listed", "taken"),
    [
        (("model.int8.onnx", "model.onnx"), "model.int8.onnx"),
        (("model.onnx",), "model.onnx"),
    ],
)
def test_of_the_same_model_twice_the_smaller_file_is_fetched(
    listed: Sequence[str], taken: str, tmp_path: Path
) -> None:
    others = dict.fromkeys(("tokens.txt", "LICENSE", "README.md", "test_wavs/zh.wav"), b"x")
    with serving(Hub(SENSEVOICE, others | {name: name.encode() for name in listed})) as hub:
        path = fetch("sensevoice", tmp_path, source=hub.url)
    assert set(verify(path)) == {taken, "tokens.txt", "LICENSE"}
    assert resolve("sensevoice", tmp_path) == path


def test_the_files_of_a_repository_tell_what_it_is(tmp_path: Path) -> None:
    for files in (FILES, dict.fromkeys(("model.onnx", "tokens.txt"), b"x")):
        with serving(Hub("some/model", dict(files))) as hub:
            path = fetch("some/model", tmp_path, source=hub.url)
        assert resolve("some/model", tmp_path) == path
    with (
        serving(Hub("some/thing", {"model.onnx": b""})) as hub,
        pytest.raises(FetchFailed, match=r"(?s)Whisper model.*sherpa-onnx.*no tokens\.txt"),
    ):
        fetch("some/thing", tmp_path, source=hub.url)


def test_files_in_folders_are_fetched_into_folders(tmp_path: Path) -> None:
    class Voice:
        title = "voice"
        needed = (("*.onnx",), ("data/*",))
        wanted = ()

    files = {"en.onnx": b"x", "data/en dict": b"abc", "data/lang/en": b"de", "other/x": b""}
    with serving(Hub("some/voice", files)) as hub:
        path = fetching.fetch(
            "voice", tmp_path, repository="some/voice", kinds=(Voice(),), source=hub.url
        )
    assert set(verify(path)) == {"en.onnx", "data/en dict", "data/lang/en"}
    assert (path / "data" / "lang" / "en").read_bytes() == b"de"


@pytest.mark.parametrize("path", ["../model.bin", "/model.bin", "a/../../model.bin", "..\\x"])
def test_a_source_cannot_write_outside_the_folder(
    path: str, source: tuple[Hub, str], tmp_path: Path
) -> None:
    hub, address = source
    hub.files[path] = b"x"
    with pytest.raises(FetchFailed, match="lies outside"):
        fetch("small", tmp_path, source=address)
    assert not list(tmp_path.iterdir())


def test_only_known_names_and_repositories_are_looked_for() -> None:
    assert catalogue.find("sensevoice").repository == SENSEVOICE
    assert catalogue.find("some/model").repository == "some/model"
    for name in ("largest", "a/b/c", "../x"):
        with pytest.raises(UnknownModel, match=r"large-v3-turbo.*sensevoice"):
            catalogue.find(name)
