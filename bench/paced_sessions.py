"""Sessions that speak at the wall clock's pace, and are recognised as they speak.

Where sessions cut, it is by the production segmenter with the script's voice activity (who speaks
when is known), so that only the recogniser is measured. A stream is cut by the service, whose VAD
hears what it can.
"""

import asyncio
import random
import time
from collections.abc import Sequence

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from asr.errors import AtCapacity, HearingError, Overloaded
from asr.segmenter import SAMPLE_RATE, WINDOW, Pcm, Segmenter, SegmenterOptions
from asr.service import authorisation, protocol
from asr.service.protocol import End, Ended, Final, Hello, Sound
from bench.paced_accounts import Piece, Session
from bench.paced_arms import TOKEN, Arm, Recognise

FRAME = 1_600
"""Samples of a stream in one message."""
OPTIONS = SegmenterOptions()


async def everyone(
    sessions: Sequence[Session], arm: Arm, *, arrive_s: float = 1.0, drain_s: float = 10.0
) -> None:
    """They begin one after the other within `arrive_s`, in an order of their own."""
    async with asyncio.TaskGroup() as group:
        for number, session in enumerate(sessions):
            begin = time.monotonic() + arrive_s * random.Random(number).random()
            said = stream if arm.url and arm.doors is None else interview
            group.create_task(said(number, session, arm, begin, drain_s))


async def interview(number: int, session: Session, arm: Arm, begin: float, drain_s: float) -> None:
    await asyncio.sleep(begin - time.monotonic())
    if arm.doors is not None:
        try:
            await arm.doors.enter(number)
        except AtCapacity:
            session.turned_away = True
            return
    try:
        await talk(number, session, arm.recognise, time.monotonic(), drain_s)
    finally:
        if arm.doors is not None:
            arm.doors.leave(number)


async def talk(
    number: int, session: Session, recognise: Recognise, begin: float, drain_s: float
) -> None:
    """Say it all, each segment recognised as it is cut."""
    segmenter, asked = Segmenter(OPTIONS), []
    for i, voiced in enumerate(session.speech.voiced):
        await asyncio.sleep(begin + (i + 1) * WINDOW / SAMPLE_RATE - time.monotonic())
        window = session.speech.pcm[i * WINDOW : (i + 1) * WINDOW]
        session.sent += len(window)
        segment = segmenter.push(window, float(voiced))
        if segment is not None:
            piece = Piece(segment.core_start, segment.core_end, segment.start)
            piece.vad_wait_s = (segmenter.position - segment.voice_end) / SAMPLE_RATE
            session.pieces.append(piece)
            asking = ask(number, piece, segment.audio, recognise, time.monotonic())
            asked.append(asyncio.create_task(asking))
    if asked:
        _, late = await asyncio.wait(asked, timeout=drain_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


async def ask(number: int, piece: Piece, pcm: Pcm, recognise: Recognise, cut: float) -> None:
    """`cut`: when the segment was, by the monotonic clock."""
    try:
        audio = np.divide(pcm, 32_768, dtype=np.float32)
        piece.text, piece.wait_s = await recognise(audio, number)
        piece.outcome = "given"
    except Overloaded:
        piece.outcome = "refused"
    except HearingError:
        piece.outcome = "failed"
    piece.final_s = time.monotonic() - cut


# --- a stream of the service ----------------------------------------------------------------------
async def stream(number: int, session: Session, arm: Arm, begin: float, drain_s: float) -> None:
    await asyncio.sleep(begin - time.monotonic())
    bearer = authorisation.header(TOKEN)
    async with connect(arm.url, additional_headers=bearer, proxy=None, compression=None) as socket:
        # All begin at once here, and none is to be turned away.
        await socket.send(Hello(regardless=True).model_dump_json())
        await socket.recv()
        began = time.monotonic()
        reader = asyncio.create_task(_read(socket, session, began))
        pcm = session.speech.pcm
        for start in range(0, len(pcm), FRAME):
            frame = pcm[start : start + FRAME]
            session.sent = start + len(frame)
            await asyncio.sleep(began + session.sent / SAMPLE_RATE - time.monotonic())
            await socket.send(protocol.pack(Sound(0, start, frame)))
        await socket.send(End().model_dump_json())
        try:
            async with asyncio.timeout(drain_s):
                session.sent = await reader
        except TimeoutError:
            pass  # what is missing is unfinished


async def _read(socket: ClientConnection, session: Session, began: float) -> int:
    """Finals, until the stream has ended: where that was."""
    while True:
        match protocol.from_service(str(await socket.recv())):
            case Final() as final:
                session.pieces.append(_piece(final, time.monotonic() - began))
            case Ended(samples=samples):
                return samples


def _piece(final: Final, at_s: float) -> Piece:
    """A cut is due when the pause has lasted; a cut without one, when its last sample was sent."""
    paused = final.voice_end + round(OPTIONS.cut_s * SAMPLE_RATE)
    due = max(final.end, min(paused, final.end + WINDOW)) / SAMPLE_RATE
    lead = round(OPTIONS.pre_s * SAMPLE_RATE) // WINDOW * WINDOW + WINDOW
    return Piece(
        final.start,
        final.end,
        max(final.start, final.voice_start - lead),
        outcome="failed" if final.verdict == "failed" else "given",
        text=final.text,
        final_s=at_s - due,
        vad_wait_s=due - final.voice_end / SAMPLE_RATE,
    )
