"""Any format gives the same sound, a file is only ever a file, and what is wrong is said."""

import os
import zipfile
from pathlib import Path

import av
import numpy as np
import pytest

from asr.errors import UnreadableRecording
from asr.recording import BLOCK_S, Recording, clock, shown
from tests.asr.recordings import CODECS, encrypted, save, tone
from tests.asr.speech import RATE, silence


def read(path: Path) -> tuple[np.ndarray, list[str]]:
    with Recording(path) as recording:
        sound = np.concatenate(list(recording.blocks()), axis=1)
        return sound, recording.problems


def refusal(path: Path) -> str:
    with pytest.raises(UnreadableRecording) as refused:
        read(path)
    return str(refused.value)


@pytest.mark.parametrize("ending", CODECS)
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_every_format_and_rate_gives_both_channels_in_time(
    tmp_path: Path, ending: str, rate: int
) -> None:
    left = np.concatenate([silence(1), tone(1), silence(1)])
    right = np.concatenate([silence(2), tone(1, 700)])
    sound, problems = read(save(tmp_path / f"a{ending}", left, right, rate=rate))
    assert not problems
    assert sound.shape[0] == 2
    assert sound.shape[1] == pytest.approx(3 * RATE, abs=0.1 * RATE)
    level = np.abs(sound[:, : 3 * RATE // 1600 * 1600]).astype(float)
    loud = level.reshape(2, -1, 1600).mean(axis=2) > 1000  # tenths of a second
    assert np.flatnonzero(loud[0])[[0, -1]] == pytest.approx([10, 19], abs=1)
    assert np.flatnonzero(loud[1])[0] == pytest.approx(20, abs=1)


def test_the_samples_of_a_wave_file_are_its_own(tmp_path: Path) -> None:
    said = tone(25.3)
    path = save(tmp_path / "a.wav", said)
    with Recording(path) as recording:
        blocks = list(recording.blocks())
    assert max(block.shape[1] for block in blocks) <= (BLOCK_S + 1) * RATE
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1)[0], said)


def test_a_gap_in_the_timestamps_is_silence(tmp_path: Path) -> None:
    path = tmp_path / "a.webm"
    with av.open(path, "w") as file:
        stream = file.add_stream("libopus", rate=48_000, layout="mono")
        resampler = av.AudioResampler(format="flt", layout="mono", rate=48_000, frame_size=960)
        frame = av.AudioFrame.from_ndarray(tone(4).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        for piece in resampler.resample(frame):
            for packet in stream.encode(piece):
                if not 1 <= packet.pts * packet.time_base < 3:  # a sender that sent nothing
                    file.mux(packet)
    sound, _ = read(path)
    assert sound.shape[1] == pytest.approx(4 * RATE, abs=0.1 * RATE)
    assert np.abs(sound[0, int(1.2 * RATE) : int(2.8 * RATE)]).max() < 100
    assert np.abs(sound[0, int(3.2 * RATE) : int(3.8 * RATE)]).mean() > 1000


def test_what_is_no_recording_is_named(tmp_path: Path) -> None:
    archive = tmp_path / "zip.wav"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.txt", "words" * 100)
    assert refusal(archive) == "it is a zip archive, not a recording"
    (tmp_path / "empty.wav").touch()
    assert refusal(tmp_path / "empty.wav") == "it is empty"
    assert refusal(tmp_path) == "it is a folder; name the recordings in it"
    assert refusal(tmp_path / "none.wav") == "there is no such file"
    assert refusal(tmp_path / "a\0b.wav").startswith(("it cannot be opened", "there is no such"))
    assert refusal(encrypted(tmp_path / "e.mp4", tone(2))) == "it is encrypted"
    (tmp_path / "pgp.mp3").write_text("-----BEGIN PGP MESSAGE-----\n" * 9)
    assert "encrypted (by PGP)" in refusal(tmp_path / "pgp.mp3")
    os.mkfifo(tmp_path / "pipe.wav")
    assert refusal(tmp_path / "pipe.wav") == "it is no ordinary file"
    (tmp_path / "text.ogg").write_text("Not a sound.\n" * 400)
    assert "no recording" in refusal(tmp_path / "text.ogg")


def test_a_header_alone_has_no_sound(tmp_path: Path) -> None:
    whole = save(tmp_path / "a.wav", tone(1)).read_bytes()
    (tmp_path / "b.wav").write_bytes(whole[: whole.index(b"data") + 8])
    assert refusal(tmp_path / "b.wav")


def test_a_film_without_sound_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(path, "w") as file:
        stream = file.add_stream("mpeg4", rate=24)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(24):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            file.mux(stream.encode(picture))
        file.mux(stream.encode(None))
    assert refusal(path) == "there is no sound in it"


@pytest.mark.parametrize("ending", [".m3u8", ".wav"])
def test_a_playlist_opens_nothing_else(tmp_path: Path, ending: str) -> None:
    inside = save(tmp_path / "inside.wav", tone(1))
    playlists = [
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{inside.name}\n#EXT-X-ENDLIST\n",
        f"\n#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{inside.name}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {inside.name}\n",
    ]
    for number, text in enumerate(playlists):
        path = tmp_path / f"list{number}{ending}"
        path.write_text(text)
        assert refusal(path)


@pytest.mark.parametrize(
    "name", ["concat:a.wav", "100%d.wav", "-a.wav", "[b] ü 录音.wav", "a\nb.wav"]
)
def test_a_name_is_only_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "s.wav", tone(1)).rename(tmp_path / name)
    assert read(Path(name))[0].shape == (1, RATE)
    assert shown(Path(name)).isprintable()


@pytest.mark.parametrize("ending", [".wav", ".flac", ".mp3", ".ogg", ".webm"])
def test_a_recording_that_was_cut_short_is_heard_as_far_as_it_goes(
    tmp_path: Path, ending: str
) -> None:
    whole = save(tmp_path / f"a{ending}", tone(6)).read_bytes()
    (tmp_path / f"b{ending}").write_bytes(whole[: len(whole) // 2])
    sound, problems = read(tmp_path / f"b{ending}")
    assert 1 * RATE < sound.shape[1] < 5 * RATE
    assert "cut short" in " ".join(problems)


def test_damage_in_the_middle_is_counted_and_the_rest_is_heard(tmp_path: Path) -> None:
    data = bytearray(save(tmp_path / "a.m4a", tone(6)).read_bytes())
    middle = len(data) // 2
    data[middle - 3000 : middle] = np.random.default_rng(1).bytes(3000)
    (tmp_path / "b.m4a").write_bytes(data)
    sound, problems = read(tmp_path / "b.m4a")
    assert sound.shape[1] > 3 * RATE
    assert "could not be decoded" in problems[0]


def test_a_header_that_makes_hours_of_a_second_is_refused(tmp_path: Path) -> None:
    data = bytearray(save(tmp_path / "a.wav", tone(1)).read_bytes())
    data[24:28] = (3).to_bytes(4, "little")
    (tmp_path / "b.wav").write_bytes(data)
    assert refusal(tmp_path / "b.wav") == "it is damaged: 3 samples a second"


@pytest.mark.parametrize("ending", CODECS)
def test_random_damage_is_heard_in_part_or_refused_in_a_sentence(
    tmp_path: Path, ending: str
) -> None:
    data = save(tmp_path / f"a{ending}", tone(1), tone(1)).read_bytes()
    rng = np.random.default_rng(7)
    for _ in range(30):
        broken = bytearray(data)
        for at in rng.integers(0, len(data) if rng.random() < 0.5 else 200, 5):
            broken[at] = rng.integers(256)
        path = tmp_path / f"b{ending}"
        path.write_bytes(broken[: rng.integers(1, len(broken) + 1)])
        try:
            read(path)
        except UnreadableRecording as e:
            assert str(e)


def test_times_are_read_as_people_say_them() -> None:
    assert [clock(s) for s in (0, 7.9, 61, 3723)] == ["0:00", "0:07", "1:01", "1:02:03"]


def test_bytes_that_are_no_text_are_shown(tmp_path: Path) -> None:
    assert shown(Path(os.fsdecode(b"a\xff\x1b[1m.wav"))) == "a\ufffd\ufffd[1m.wav"
