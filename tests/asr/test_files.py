"""Recordings become text: nothing lost, nothing invented, bounded, and each speaker by name."""

import asyncio
import json
import tracemalloc
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from asr.channels import Channels
from asr.cutting import Cutter
from asr.engine import Engine
from asr.errors import Overloaded, RecognitionFailed, UnreadableRecording
from asr.files import FileOptions, Transcriber
from asr.outputs import rendered
from asr.recognition import Audio, Priority, Recognition
from asr.segmenter import WINDOW, Segment
from asr.transcription import Transcription
from server.media import opus
from server.media.ogg import OggOpusWriter
from tests.asr.recordings import CODECS, chords, noise, save, tone
from tests.asr.speech import RATE, answer, errors, silence

SCHEMA = Path(__file__).parents[2] / "docs" / "transcription.schema.json"
SAID = [
    "In my last job I built a booking system for a hotel.",
    "It was a difficult project, because the old system was slow.",
    "My role was to design the database.",
    "As a result, waiting times went down by forty percent.",
]
ASKED = "How large is the team?"
SPEECH = answer(0.6, SAID[0], 0.7, SAID[1], 0.3, SAID[2], 1.2, SAID[3], 0.8)


def text(heard: Transcription, speaker: str | None = None) -> str:
    return " ".join(one.text for one in heard.segments if speaker in (None, one.speaker))


class Scripted:
    """A recogniser that says what the script says, and remembers what it was given."""

    model = "script"

    def __init__(self, script: Callable[[int], str | Exception], together: int = 1) -> None:
        """The first `together` answers wait for one another."""
        self.script, self.together = script, together
        self.met = asyncio.Event()
        self.given: list[Audio] = []
        self.at_once = self.most_at_once = 0

    async def recognise(
        self,
        audio: Audio,
        *,
        language: str,
        hotwords: Sequence[str] = (),
        priority: Priority = Priority.FINAL,
        source: Hashable = None,
    ) -> Recognition:
        number = len(self.given)
        self.given.append(audio)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        if self.most_at_once >= self.together:
            self.met.set()
        await self.met.wait()
        await asyncio.sleep(0.01)
        self.at_once -= 1
        said = self.script(number)
        if isinstance(said, Exception):
            raise said
        return Recognition(said, language, -0.05, 0.0)


@pytest.mark.parametrize("ending", CODECS)
@pytest.mark.parametrize("rate", [8_000, 48_000])
async def test_speech_is_heard_without_an_error_in_every_format(
    engine: Engine, tmp_path: Path, ending: str, rate: int
) -> None:
    path = save(tmp_path / f"a{ending}", SPEECH, rate=rate)
    heard = await Transcriber(engine).transcribe(path)
    assert errors(" ".join(SAID), text(heard)) == 0
    assert heard.complete
    assert heard.seconds == pytest.approx(len(SPEECH) / RATE, abs=0.1)
    assert heard.segments[0].start == pytest.approx(0.6, abs=0.2)
    for segment in heard.segments:
        assert " ".join(word.text for word in segment.words) == segment.text
        assert segment.start <= segment.words[0].start
        assert segment.words[-1].end <= segment.end <= heard.seconds
        assert segment.confidence > 0.6


async def test_two_speakers_on_two_channels_are_named_and_in_order(
    engine: Engine, tmp_path: Path
) -> None:
    left = answer(0.5, SAID[0], 4.0, SAID[2], 0.5)
    right = np.concatenate([silence(5.0), answer(ASKED, voice="en-us+f3")])
    options = FileOptions(speakers=("Ada", "Interviewer"))
    heard = await Transcriber(engine, options).transcribe(save(tmp_path / "a.ogg", left, right))
    assert [(one.speaker, one.text) for one in heard.segments] == [
        ("Ada", SAID[0]),
        ("Interviewer", ASKED),
        ("Ada", SAID[2]),
    ]
    assert (heard.channels, heard.speakers) == ("split", ("Ada", "Interviewer"))


async def test_two_who_speak_at_once_are_both_heard(engine: Engine, tmp_path: Path) -> None:
    left, right = answer(0.5, SAID[0], SAID[1], 0.5), answer(0.5, ASKED, SAID[2], 0.5)
    heard = await Transcriber(engine).transcribe(save(tmp_path / "a.flac", left, right))
    assert errors(f"{SAID[0]} {SAID[1]}", text(heard, "channel 1")) == 0
    assert errors(f"{ASKED} {SAID[2]}", text(heard, "channel 2")) == 0
    starts = [one.start for one in heard.segments]
    assert starts == sorted(starts)


async def test_vivas_own_recordings_know_who_speaks(tmp_path: Path) -> None:
    path = tmp_path / "interview.ogg"
    encoder = opus.Encoder(24_000, 2, bitrate=64_000)
    sound = np.zeros((24_000, 2), np.int16)
    with path.open("wb") as file:
        writer = OggOpusWriter(file, channels=2, rate=24_000, pre_skip=312)
        packets = [encoder.encode(sound[at : at + 480]) for at in range(0, len(sound), 480)]
        writer.write(packets, last=True)
    heard = await Transcriber(Scripted(lambda _: "")).transcribe(path)
    assert (heard.channels, heard.speakers) == ("split", ("candidate", "interviewer"))


@pytest.mark.parametrize(
    ("channels", "found"),
    [
        ([SPEECH], "mix"),
        ([SPEECH, SPEECH], "mix"),
        ([SPEECH, np.asarray(SPEECH * 0.6 + noise(1)[0], np.int16)], "mix"),  # a room
        ([chords(8), np.roll(chords(8), 300)], "mix"),
        ([SPEECH, silence(1)], "split"),
        ([SPEECH, np.roll(SPEECH, len(SPEECH) // 2) // 20], "split"),
        ([answer(0.5, SAID[0], 3.0), answer(4.5, ASKED)], "split"),
        ([silence(1), silence(1)], "mix"),
        ([SPEECH, SPEECH, SPEECH], "mix"),
    ],
)
async def test_auto_splits_where_one_channel_is_far_louder(
    tmp_path: Path, channels: list[np.ndarray], found: str
) -> None:
    path = save(tmp_path / "a.wav", *channels)
    heard = await Transcriber(Scripted(lambda _: "Yes.")).transcribe(path)
    assert heard.channels == found


async def test_channels_can_be_split_or_mixed_by_hand(engine: Engine, tmp_path: Path) -> None:
    path = save(tmp_path / "a.wav", answer(0.5, SAID[0], 3.0), answer(4.5, ASKED, 0.5))
    mixed = await Transcriber(engine, FileOptions(channels="mix")).transcribe(path)
    assert errors(f"{SAID[0]} {ASKED}", text(mixed)) == 0
    assert {one.speaker for one in mixed.segments} == {None}
    three = save(tmp_path / "b.wav", answer(0.5, SAID[0]), answer(4.5, ASKED, 0.5), silence(1))
    split = await Transcriber(engine, FileOptions(channels="split")).transcribe(three)
    assert [one.speaker for one in split.segments] == ["channel 1", "channel 2"]
    named = FileOptions(channels="split", speakers=("Ada", "Bob"))
    with pytest.raises(UnreadableRecording, match="3 channels, for 2 named speakers"):
        await Transcriber(engine, named).transcribe(three)


@pytest.mark.parametrize(
    "channels",
    [
        [SPEECH, SPEECH],
        [SPEECH, np.asarray(SPEECH * 0.6 + noise(1)[0], np.int16)],  # a room
        [silence(1), silence(1)],
        [SPEECH, silence(1), SPEECH],
    ],
)
async def test_a_name_for_each_channel_splits_what_auto_would_mix(
    tmp_path: Path, channels: list[np.ndarray]
) -> None:
    path = save(tmp_path / "a.wav", *channels)
    names = ("Ada", "Bob", "Eve")[: len(channels)]
    scripted = Transcriber(Scripted(lambda _: "Yes."), FileOptions(speakers=names))
    heard = await scripted.transcribe(path)
    assert (heard.channels, heard.speakers) == ("split", names)
    loud = {name for name, sound in zip(names, channels, strict=True) if sound.any()}
    assert {one.speaker for one in heard.segments} == loud


@pytest.mark.parametrize(
    ("sound", "channels", "names", "said"),
    [
        ([SPEECH], "auto", 2, "it has 1 channel, for 2 named speakers"),
        ([SPEECH], "split", 2, "it has 1 channel, for 2 named speakers"),
        ([SPEECH, SPEECH], "auto", 3, "it has 2 channels, for 3 named speakers"),
        ([SPEECH, silence(1)], "auto", 1, "it has 2 channels, for 1 named speaker"),
        ([SPEECH, SPEECH], "mix", 2, "its channels are heard as one, for 2 named speakers"),
    ],
)
async def test_more_or_fewer_names_than_channels_are_refused(
    tmp_path: Path, sound: list[np.ndarray], channels: Channels, names: int, said: str
) -> None:
    options = FileOptions(channels=channels, speakers=("Ada", "Bob", "Eve")[:names])
    transcriber = Transcriber(Scripted(lambda _: "Yes."), options)
    with pytest.raises(UnreadableRecording) as refused:
        await transcriber.transcribe(save(tmp_path / "a.wav", *sound))
    assert str(refused.value) == said


@pytest.mark.parametrize("channels", ["auto", "mix"])
async def test_one_name_is_for_all_channels_that_are_heard_as_one(
    tmp_path: Path, channels: Channels
) -> None:
    options = FileOptions(channels=channels, speakers=("Ada",))
    path = save(tmp_path / "a.wav", SPEECH, SPEECH)
    heard = await Transcriber(Scripted(lambda _: "Yes."), options).transcribe(path)
    assert (heard.channels, heard.speakers) == ("mix", ("Ada",))


async def test_clipped_speech_is_heard(engine: Engine, tmp_path: Path) -> None:
    clipped = np.clip(SPEECH.astype(np.int32) * 6, -32_768, 32_767).astype(np.int16)
    heard = await Transcriber(engine).transcribe(save(tmp_path / "a.wav", clipped))
    assert errors(" ".join(SAID), text(heard)) <= 1


async def test_silence_noise_tones_and_chords_give_no_words(engine: Engine, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    clicks = np.where(rng.random(10 * RATE) < 0.0005, 20_000, 0).astype(np.int16)
    hum = tone(10, 50) // 3 + noise(10)
    for number, sound in enumerate(
        (silence(10), noise(10), noise(10, 4000), tone(10), chords(10), hum, clicks, silence(0.01))
    ):
        path = save(tmp_path / f"{number}.wav", sound)
        heard = await Transcriber(engine).transcribe(path)
        assert (number, text(heard)) == (number, "")
        assert heard.dropped_segments == len(heard.dropped)


async def test_what_the_guards_drop_is_named_and_its_words_are_nowhere(tmp_path: Path) -> None:
    script = ["I built it.", "thanks for watching " * 9, "so much " * 40, "..."]
    transcriber = Transcriber(Scripted(lambda n: script[n % 4]))
    heard = await transcriber.transcribe(save(tmp_path / "a.wav", SPEECH))
    assert text(heard) == "I built it."
    assert [one.reason for one in heard.dropped] == ["repetition", "repetition", "no_speech"]
    assert heard.dropped_segments == 3
    assert heard.complete
    assert "watching" not in rendered(heard, "json")
    assert all(0 < one.start < one.end <= heard.seconds for one in heard.dropped)


async def test_a_piece_that_fails_twice_is_named_and_the_rest_stand(tmp_path: Path) -> None:
    options = FileOptions(in_flight=1, retry_after_s=0.0)
    path = save(tmp_path / "a.wav", SPEECH)
    stumbling = Scripted(lambda n: "Fine." if n else RuntimeError("an unknown one"))
    once = await Transcriber(stumbling, options).transcribe(path)
    assert once.complete
    always = Transcriber(
        Scripted(lambda n: RecognitionFailed("broken") if n in (0, 1) else "Fine."), options
    )
    heard = await always.transcribe(path)
    assert [(one.reason, one.detail) for one in heard.dropped] == [("failed", "broken")]
    assert not heard.complete
    assert heard.problems == ("1 piece of its speech could not be recognised",)
    assert len(heard.segments) == len(once.segments) - 1


async def test_a_busy_recogniser_is_waited_for(tmp_path: Path) -> None:
    options = FileOptions(retry_after_s=0.0)
    busy = Scripted(lambda n: Overloaded("busy") if n < 20 else "Fine.")
    heard = await Transcriber(busy, options).transcribe(save(tmp_path / "a.wav", SPEECH))
    assert heard.complete
    assert {one.text for one in heard.segments} == {"Fine."}


async def test_a_recogniser_that_stays_busy_is_given_up_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asr.files.OVERLOAD_S", 0.0)
    busy = Transcriber(Scripted(lambda _: Overloaded("busy")), FileOptions(retry_after_s=0.0))
    heard = await busy.transcribe(save(tmp_path / "a.wav", SPEECH))
    assert not heard.complete
    assert {(one.reason, one.detail) for one in heard.dropped} == {("failed", "busy")}


async def test_many_pieces_are_with_the_recogniser_at_once_but_never_more_than_agreed(
    tmp_path: Path,
) -> None:
    parts = [save(tmp_path / f"{n}.wav", np.tile(SPEECH, 2)) for n in range(3)]
    scripted = Scripted(lambda _: "Fine.", together=5)
    transcriber = Transcriber(scripted, FileOptions(in_flight=5))
    heard = await asyncio.gather(*map(transcriber.transcribe, parts))
    assert scripted.most_at_once == 5
    assert len({len(one.segments) for one in heard}) == 1


def audible(cutter: Cutter, sound: np.ndarray, step: int) -> list[Segment]:
    found: list[Segment] = []
    for at in range(0, len(sound), step):
        found += cutter.push(sound[at : at + step])
    return [*found, *cutter.finish()]


@pytest.mark.parametrize("seed", range(20))
def test_every_sample_is_in_one_core_or_in_the_silence_after_the_last(seed: int) -> None:
    """And what is sent is the sound of that core, all but the silence before its speech."""
    rng = np.random.default_rng(seed)
    sound = rng.integers(-9000, 9000, int(rng.integers(1, 60 * RATE)), dtype=np.int16)
    windows = -(-len(sound) // WINDOW)
    talking = np.repeat(rng.random(windows) < 0.6, rng.integers(1, 200, windows))[:windows]
    chance = np.where(talking, 0.9, 0.05).astype(np.float32)
    heard = iter(chance)
    cutter = Cutter(vad=lambda s: np.array([next(heard) for _ in range(len(s) // WINDOW)]))
    segments = audible(cutter, sound, int(rng.integers(1, 200_000)))
    assert cutter.samples == len(sound)
    padded = np.pad(sound, (0, windows * WINDOW - len(sound)))
    owner = np.zeros(len(padded), int)
    cut = 0
    for segment in segments:
        assert segment.core_start == cut < segment.core_end <= len(padded)
        assert segment.core_start <= segment.start <= segment.onset
        owner[segment.core_start : segment.core_end] += 1
        cut = segment.core_end
        np.testing.assert_array_equal(segment.audio, padded[segment.start : segment.core_end])
    assert set(owner[:cut]) <= {1}
    sent = np.zeros(len(padded), bool)
    for segment in segments:
        sent[segment.start : segment.core_end] = True
    lost = np.repeat(talking, WINDOW) & ~sent
    assert lost.sum() <= WINDOW * np.count_nonzero(talking) * 0.02  # single windows: clicks


async def test_the_recogniser_gets_the_recordings_own_samples_once(tmp_path: Path) -> None:
    path = save(tmp_path / "a.wav", SPEECH)
    scripted = Scripted(lambda _: "Fine.")
    heard = await Transcriber(scripted, FileOptions(in_flight=1)).transcribe(path)
    whole, end = SPEECH.astype(np.float32) / 32_768, 0
    for audio, segment in zip(scripted.given, heard.segments, strict=True):
        low = max(0, round(segment.start * RATE) - RATE // 2)  # half a second is the pre-roll
        begin = next(
            at
            for at in range(max(low // WINDOW * WINDOW, end), len(whole), WINDOW)
            if np.array_equal(whole[at : at + len(audio)], audio[: len(whole) - at])
        )
        assert begin >= end
        end = begin + len(audio)


class Forgetful(Scripted):
    """Keeps nothing of what it was given."""

    async def recognise(self, audio: Audio, **asked: Any) -> Recognition:
        self.given.clear()
        return await super().recognise(audio, **asked)


async def test_a_long_recording_is_never_whole_in_memory(tmp_path: Path) -> None:
    """Neither its sound nor its speech: no piece is held after its result."""
    path = save(tmp_path / "a.flac", np.tile(SPEECH, 30))
    transcriber = Transcriber(Forgetful(lambda _: "Fine."), FileOptions(in_flight=2))
    await transcriber.transcribe(save(tmp_path / "b.wav", SPEECH))
    tracemalloc.start()
    heard = await transcriber.transcribe(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert heard.seconds == pytest.approx(30 * len(SPEECH) / RATE)
    assert len(heard.segments) >= 120
    speech = sum(RATE * (one.end - one.start) for one in heard.segments) * 2  # bytes
    assert peak < speech / 2  # without any float


async def test_progress_goes_up_to_the_end(tmp_path: Path) -> None:
    told: list[tuple[float, float | None]] = []
    path = save(tmp_path / "a.wav", SPEECH)
    transcriber = Transcriber(Scripted(lambda _: "Fine."))
    await transcriber.transcribe(path, lambda done, whole: told.append((done, whole)))
    done = [one for one, _ in told]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(len(SPEECH) / RATE)
    assert told[-1][1] == pytest.approx(len(SPEECH) / RATE)


async def test_stopping_in_the_middle_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = Scripted(lambda _: "")
    never_done = asyncio.Event()

    async def wait(*_: object, **__: object) -> Recognition:
        await never_done.wait()
        raise AssertionError

    monkeypatch.setattr(never, "recognise", wait)
    before = asyncio.all_tasks()
    task = asyncio.create_task(
        Transcriber(never, FileOptions(in_flight=2)).transcribe(
            save(tmp_path / "a.wav", np.tile(SPEECH, 4))
        )
    )
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before


async def test_json_fits_the_published_schema(engine: Engine, tmp_path: Path) -> None:
    published = json.loads(SCHEMA.read_text(encoding="utf-8"))
    made = Transcription.model_json_schema(mode="serialization")
    assert published == made, "publish it anew, with json.dumps(made, indent=2)"
    path = save(tmp_path / "a.ogg", SPEECH, noise(3, 3000))
    heard = await Transcriber(engine).transcribe(path)
    jsonschema.validate(json.loads(rendered(heard, "json")), published)
    assert Transcription.model_validate_json(rendered(heard, "json")) == heard
