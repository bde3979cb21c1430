"""Whether the channels of a recording are a speaker's each, and who that is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from asr.errors import UnreadableRecording
from asr.recording import Block, Recording, counted
from asr.segmenter import SAMPLE_RATE, WINDOW

Channels = Literal["split", "mix", "auto"]

VIVAS_SPEAKERS = ("candidate", "interviewer")
APART_DB = 10.0
"""How much louder the channel of who speaks is than the others, if each speaker has one."""
LOUD = 100.0
"""Root mean square of a window that counts, of 32,768: 50 dB below full scale."""
ENOUGH_LOUD_S = 60.0


def who_speaks(
    path: Path, channels: Channels, speakers: tuple[str, ...]
) -> tuple[bool, tuple[str | None, ...]]:
    """Whether each channel is heard for itself, and who speaks on it.

    Several names say that each channel is a speaker's, whatever it sounds like. Raises
    `UnreadableRecording` if there are not as many names as channels that are heard.
    """
    with Recording(path) as recording:
        number, vivas = recording.channels, recording.made_by_viva
        split = _split(recording, channels, len(speakers))
    if speakers and len(speakers) != (number if split else 1):
        has = f"it has {counted(number, 'channel')}" if split else "its channels are heard as one"
        raise UnreadableRecording(f"{has}, for {counted(len(speakers), 'named speaker')}")
    if speakers:
        return split, speakers
    if not split:
        return False, (None,)
    if vivas:
        return True, VIVAS_SPEAKERS
    return True, tuple(f"channel {i + 1}" for i in range(number))


def _split(recording: Recording, channels: Channels, named: int) -> bool:
    if channels != "auto":
        return channels == "split"
    if named > 1:
        return True
    return recording.channels == 2 and (
        recording.made_by_viva or one_speaker_each(recording.blocks())
    )


def one_speaker_each(blocks: Iterator[Block]) -> bool:
    """Whether the two channels are two speakers', not one room's: by how often one is far louder.

    A minute of sound decides. One voice on both channels, or music, is near to equal in both.
    """
    apart = loud = 0
    for block in blocks:
        whole = block[:, : block.shape[1] // WINDOW * WINDOW].astype(np.float32)
        level = np.sqrt(np.square(whole.reshape(2, -1, WINDOW)).mean(axis=2))
        low, high = np.sort(level, axis=0)
        heard = high >= LOUD
        loud += int(heard.sum())
        apart += int((heard & (high >= low * 10 ** (APART_DB / 20))).sum())
        if loud * WINDOW >= ENOUGH_LOUD_S * SAMPLE_RATE:
            break
    return loud > 0 and apart * 2 >= loud
