"""Local neural voices from the settings: in the chain, tried before the start, named in reports."""

from pathlib import Path

import pytest
from written_calls import NoEars

from server import catalogue, doctor, fetching
from server.equipment import Equipment
from server.local_voices import LocalVoices
from server.preflight import NotReady, check_voices
from server.settings import Settings, SettingsError, load
from server.wiring import model_client, voice_names
from tests.server.loopback_hub import Hub, serving
from tests.tts import tiny_voices
from tts.espeak_process import EspeakProcess
from tts.neural import NeuralTTS
from tts.neural_folder import find
from tts.neural_models import VoiceUnusable, resolve
from tts.voice import voice_id


def settings(folder: Path, **options: object) -> Settings:
    return load(data_dir=folder / "data", privacy="local", voice_local_threads=1, **options)


def test_a_neural_voice_needs_to_be_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="voice=neural needs a voice"):
        settings(tmp_path, voice="neural")


async def test_the_local_voice_stands_before_the_embedded_one(tmp_path: Path) -> None:
    chosen = settings(tmp_path, voice_local_en=str(tiny_voices.piper(tmp_path / "amy")))
    local, embedded = voice_names(chosen, "en")
    assert "sherpa-onnx: amy vits" in local and "espeak-ng" in embedded
    assert voice_names(chosen, "zh") == (voice_names(settings(tmp_path), "zh"))
    equipment = Equipment(chosen, NoEars(), model_client(chosen))
    try:
        await equipment.warm_up()
        (voice,) = equipment._local.of("en")
        assert isinstance(voice, NeuralTTS)
        assert voice.process.pid is not None
        assert voice_id(voice) == local
    finally:
        await equipment.aclose()
    assert voice.process.pid is None


def test_over_the_network_edge_goes_first_unless_neural_is_asked_for(tmp_path: Path) -> None:
    folder = str(tiny_voices.piper(tmp_path / "amy"))
    auto = load(data_dir=tmp_path, privacy="network", voice_local_en=folder)
    assert [name.split(":")[0] for name in voice_names(auto, "en")] == [
        "edge-tts",
        "sherpa-onnx",
        "espeak-ng",
    ]
    neural = load(data_dir=tmp_path, privacy="network", voice_local_en=folder, voice="neural")
    assert voice_names(neural, "en")[0].startswith("sherpa-onnx")
    embedded = load(data_dir=tmp_path, privacy="local", voice_local_en=folder, voice="espeak")
    assert len(voice_names(embedded, "en")) == 1


async def test_two_languages_of_one_folder_share_one_process(tmp_path: Path) -> None:
    folder = str(tiny_voices.kokoro(tmp_path / "kokoro"))
    chosen = settings(
        tmp_path, voice_local_en=folder, voice_local_zh=folder, voice_local_speaker_zh=1
    )
    voices = LocalVoices(chosen, EspeakProcess())
    (english,), (chinese,) = voices.of("en"), voices.of("zh")
    assert english.process is chinese.process
    assert voice_id(english) != voice_id(chinese)


def test_every_voice_says_a_sentence_before_the_start(tmp_path: Path) -> None:
    folder = str(tiny_voices.kokoro(tmp_path / "kokoro"))
    tried = check_voices(settings(tmp_path, voice_local_en=folder, voice_local_zh=folder))
    assert [one.language for one in tried] == ["en", "zh"]
    assert all(one.sound_s > 0.5 for one in tried)
    assert check_voices(settings(tmp_path)) == []


def test_a_voice_that_does_not_load_stops_the_start_with_the_reason(tmp_path: Path) -> None:
    gone = settings(tmp_path, voice_local_en=str(tmp_path / "nowhere"))
    with pytest.raises(NotReady, match="VIVA_VOICE_LOCAL_EN: There is no folder"):
        check_voices(gone)
    folder = tiny_voices.piper(tmp_path / "broken", taught_by="cmn")
    (folder / "voice.onnx").write_bytes(b"rubbish")
    with pytest.raises(NotReady, match=r"VIVA_VOICE_LOCAL_ZH: .*Protobuf parsing failed"):
        check_voices(settings(tmp_path, voice_local_zh=str(folder)))
    mute = tiny_voices.piper(tmp_path / "mute", fault="silence")
    with pytest.raises(NotReady, match="no sound"):
        check_voices(settings(tmp_path, voice_local_en=str(mute)))


def test_a_speaker_that_the_folder_has_not_is_refused(tmp_path: Path) -> None:
    folder = str(tiny_voices.piper(tmp_path / "p", speakers=4))
    with pytest.raises(NotReady, match=r"SPEAKER_EN is 4, but .* has speakers 0 to 3"):
        check_voices(settings(tmp_path, voice_local_en=folder, voice_local_speaker_en=4))


async def test_the_doctor_tries_them_too(tmp_path: Path) -> None:
    good = settings(tmp_path, voice_local_en=str(tiny_voices.piper(tmp_path / "p")))
    found = {one.name: one async for one in doctor._voices(good)}
    assert found["local voice (en)"].state == "ok"
    assert "speaks: loaded in" in found["local voice (en)"].text
    gone = settings(tmp_path, voice_local_en="piper-en")
    (only,) = [one async for one in doctor._voices(gone)]
    assert only.state == "bad" and "viva models fetch piper-en" in only.text


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("piper-en", tiny_voices.piper),
        ("kokoro", tiny_voices.kokoro),
        ("matcha-zh", tiny_voices.matcha),
    ],
)
def test_a_fetched_voice_is_found_by_its_name(name, make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    made = make(tmp_path / "made")
    files = {one.name: one.read_bytes() for one in made.iterdir()}
    known = catalogue.find(name)
    with serving(Hub(known.repository, {**files, "dict/jieba.dict": b"x", "a.png": b"x"})) as hub:
        fetching.fetch(
            name, tmp_path, repository=known.repository, kinds=catalogue.KINDS, source=hub.url
        )
    folder = find(resolve(name, tmp_path))
    assert folder.family == find(made).family
    assert {one.name for one in folder.path.iterdir()} == {*files, "manifest.json"}


def test_without_its_folder_a_name_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(VoiceUnusable, match="Fetch it once"):
        resolve("kokoro", tmp_path)
