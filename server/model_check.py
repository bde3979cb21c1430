"""`viva models check` at work: a model that lies here is verified, loaded and listened through, and
what was found is kept beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from asr import guards, models, rehearsal
from asr.cutting import Reading
from asr.decoder import check_audio
from asr.errors import HearingError, UnreadableRecording
from asr.loading import load_model
from asr.measuring import TOLERANCE, Speech, errors, measure
from asr.recognition import Audio
from asr.recording import Recording, shown
from asr.segmenter import SAMPLE_RATE, Pcm, SegmenterOptions
from asr.sherpa import Sherpa
from asr.whisper import Whisper, choose_device
from asr.windows import LanguageCheck, ModelCheck, keep, size_of
from server import manifest, speech_models
from server.settings import Settings

Tell = Callable[[str, int, int], None]
"""Called with what is being measured, recognitions that are done, and those in all."""

SENTENCES = {
    "en": (
        "In my last job I built a booking system for a hotel.",
        "We replaced the database last month, because the old system was slow.",
        "I led a team of seven engineers.",
        "When the server stopped working, I called a short meeting, and we finished on time.",
        "As a result, waiting times went down by forty percent.",
        "My biggest weakness is that I worry about small details.",
        "In five years I would like to manage a larger team.",
        "I told my manager that the data was wrong.",
        "I trained two new people, and the project was a success.",
        "Thank you for your time, it was nice to meet you.",
    ),
    "zh": (
        "我在上一份工作里为一家酒店做了预订系统。",
        "因为旧系统太慢,我们上个月换了数据库。",
        "我带领过一个七个人的团队。",
        "服务器停了以后,我马上开了一个短会,最后我们按时完成了。",
        "结果等待的时间少了百分之四十。",
        "我告诉经理这些数据是错的。",
        "五年以后我想管理一个更大的团队。",
        "谢谢您的时间,很高兴认识您。",
    ),
}
"""What espeak-ng says. The rehearsal's model knows the English ones."""
VOICES = {"en": ("en-us+m3", "en-us+f3"), "zh": ("cmn", "cmn+f3")}
EDGE_S = 0.25
"""Silence on both sides, as a segment has it."""
SOUND_FILES = (".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus", ".webm", ".mka", ".aac", ".wma")


@dataclass(frozen=True)
class Checked:
    """What there is to say of a model."""

    name: str
    folder: Path
    verified: int | None
    """Files whose checksums are those that were fetched; None for a folder of the operator's."""
    found: ModelCheck | None
    """None: its audio is as long as it is, and there is no window to choose."""
    heard: tuple[tuple[str, float | None], ...] = ()
    """Of such a model: error rate by language; None without transcripts."""
    kept: Path | None = None
    why_not_kept: str = ""


@dataclass(frozen=True)
class Listening:
    """What the operator wants to be listened to."""

    languages: tuple[str, ...] = ()
    """By default those of interviews that the model knows."""
    audio: tuple[Path, ...] = ()
    """Recordings, in place of rendered speech; `a.txt` is the transcript of `a.wav`."""


def check(name: str, settings: Settings, listening: Listening, tell: Tell) -> Checked:
    """Raises `HearingError`, `FilesDamaged`, `UnreadableRecording`, and `EspeakError`."""
    folder = models.resolve(name, settings.models_folder)
    verified = len(manifest.verify(folder)) if manifest.is_there(folder) else None
    device = choose_device(settings.asr_device)
    compute_type = settings.asr_compute_type or None
    model = load_model(folder, device=device, compute_type=compute_type)
    speech = {
        language: list(_speech(language, listening.audio))
        for language in _languages(model, listening.languages)
    }
    if isinstance(model, Sherpa):
        heard = tuple(
            (language, _errors(model, language, said, tell)) for language, said in speech.items()
        )
        return Checked(name, folder, verified, None, heard)
    found = ModelCheck(
        model=model.name,
        bytes=size_of(folder),
        compute_type=model.compute_type,
        device=model.device,
        speech="recordings" if listening.audio else "espeak-ng",
        tolerance=TOLERANCE,
        languages=tuple(_measured(model, *one, tell) for one in speech.items()),
    )
    kept, why_not = _keep(folder, found)
    return Checked(name, folder, verified, found, (), kept, why_not)


def _languages(model: Whisper | Sherpa, wanted: Sequence[str]) -> list[str]:
    unknown = [language for language in wanted if not model.knows(language)]
    if unknown:
        raise HearingError(f"The model {model.name} does not know {', '.join(unknown)}.")
    return list(wanted) or [one for one in speech_models.LANGUAGES if model.knows(one)]


def _measured(model: Whisper, language: str, speech: Sequence[Speech], tell: Tell) -> LanguageCheck:
    return measure(model, speech, language, lambda done, of: tell(language, done, of))


def _errors(model: Sherpa, language: str, speech: Sequence[Speech], tell: Tell) -> float | None:
    wrong = units = 0
    for number, one in enumerate(speech, 1):
        texts = [model.decode(audio, language=language).text for audio in one.pieces]
        if one.said is not None:
            said = guards.units(one.said)
            wrong += errors(said, guards.units(" ".join(texts)))
            units += len(said)
        tell(language, number, len(speech))
    return round(wrong / units, 4) if units else None


def _keep(folder: Path, found: ModelCheck) -> tuple[Path | None, str]:
    if folder.samefile(rehearsal.MODEL_DIR):
        return None, "it is a part of Viva"
    if not found.floors:
        return None, "there is nothing to recommend"
    try:
        return keep(folder, found), ""
    except OSError as error:
        return None, f"{folder} cannot be written ({error.strerror})"


def _speech(language: str, files: Sequence[Path]) -> Iterator[Speech]:
    if files:
        for path in files:
            yield _recorded(path)
        return
    if language not in SENTENCES:
        raise HearingError(f"There is no rendered speech in {language!r}: give recordings of it.")
    with ThreadPoolExecutor(2) as threads:  # each line is a process of espeak-ng's own
        lines = [(text, voice) for voice in VOICES[language] for text in SENTENCES[language]]
        rendered = threads.map(lambda one: _rendered(*one), lines)
        for (text, _), audio in zip(lines, rendered, strict=True):
            yield Speech([audio], text)


def _rendered(text: str, voice: str) -> Audio:
    from tts.audio import SAMPLE_RATE as RENDERED  # heavy: it loads LiveKit
    from tts.espeak import render

    at_rate = resample_poly(_floats(render(text, voice=voice)), SAMPLE_RATE // 800, RENDERED // 800)
    return np.pad(at_rate, round(EDGE_S * SAMPLE_RATE)).astype(np.float32)


def _recorded(path: Path) -> Speech:
    """Cut as in an interview."""
    transcript = path.with_suffix(".txt")
    try:
        with Recording(path) as recording:
            reading = Reading(recording, None, SegmenterOptions())
            pieces: list[Audio] = []
            while (more := reading.next_pieces()) is not None:
                pieces += [_floats(cut.audio) for _, cut in more]
        for piece in pieces:
            check_audio(piece)
        said = transcript.read_text(encoding="utf-8") if transcript.is_file() else None
    except (UnreadableRecording, HearingError, OSError, UnicodeDecodeError) as error:
        raise UnreadableRecording(f"{shown(path)}: {error}.") from error
    if not pieces:
        raise UnreadableRecording(f"{shown(path)}: there is no speech in it.")
    return Speech(pieces, said)


def _floats(pcm: Pcm) -> Audio:
    return np.asarray(pcm / np.float32(32_768), np.float32)


def recordings(folder: Path) -> tuple[Path, ...]:
    """The recordings of a folder, in order of their names; raises `UnreadableRecording`."""
    if not folder.is_dir():
        raise UnreadableRecording(f"{folder}: there is no such folder.")
    found = sorted(one for one in folder.iterdir() if one.suffix.lower() in SOUND_FILES)
    if not found:
        raise UnreadableRecording(f"{folder}: there are no recordings in it.")
    return tuple(found)
