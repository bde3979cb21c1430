import asyncio
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from edge_server import EdgeServer, Turn, mp3, tone

from tts.chain import ReplyVoice, VoiceChain, VoiceChanged
from tts.edge import EdgeTTS
from tts.espeak import EspeakTTS
from tts.espeak_process import EspeakProcess
from tts.voices import build

SENTENCE = "Tell me about a project that you are proud of."

OFFLINE = """
import asyncio, sys

def no_connection(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        raise SystemExit(f"{event} {args}")

sys.addaudithook(no_connection)

from pathlib import Path
from tts.voices import build

async def main():
    chain = build("local", "en", cache=Path(sys.argv[1]))
    seconds = 0
    for text in ("Hello.", "Tell me about a project that you are proud of."):
        async with chain.synthesize(text) as stream:
            seconds += sum([event.frame.duration async for event in stream])
    await chain.aclose()
    print(round(seconds, 1), "edge_tts" in sys.modules)

asyncio.run(main())
"""


def test_the_hook_of_the_next_test_sees_connections() -> None:
    hook = OFFLINE.split("from pathlib")[0]
    connects = "import socket; socket.create_connection(('127.0.0.1', 9))"
    run = subprocess.run([sys.executable, "-c", hook + connects], capture_output=True, check=False)
    assert run.stderr.startswith(b"socket.")


def test_in_local_mode_nothing_opens_a_connection(tmp_path: Path) -> None:
    program = [sys.executable, "-W", "error", "-c", OFFLINE, str(tmp_path)]
    run = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    seconds, edge_was_loaded = run.stdout.split()
    assert 2 < float(seconds) < 8
    assert edge_was_loaded == "False"


async def test_the_network_voice_comes_first_and_says_where_words_go(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        chain = build("network", "zh")
    assert [type(voice) for voice in chain.voices] == [EdgeTTS, EspeakTTS]
    assert "Xiaoxiao" in chain.model
    assert "Microsoft" in caplog.text


async def test_local_voices_stand_between_the_network_and_the_embedded_one() -> None:
    mine = EspeakTTS(voice="en-us+f2")
    assert build("network", "en", local=[mine]).voices[1] is mine
    assert build("local", "en", local=[mine]).voices[0] is mine


async def spoken(voice: VoiceChain | ReplyVoice, text: str) -> float:
    async with voice.synthesize(text) as stream:
        frames = [event.frame async for event in stream]
    loud = max(np.abs(np.frombuffer(frame.data, np.int16).astype(int)).max() for frame in frames)
    assert loud > 1000
    return sum(frame.duration for frame in frames)


async def test_when_the_network_voice_refuses_the_embedded_one_speaks(tmp_path: Path) -> None:
    async with EdgeServer(tmp_path, status=403) as server, EspeakTTS() as embedded:
        chain = VoiceChain(
            [EdgeTTS(connector=server.connector, first_chunk_timeout_s=30), embedded]
        )
        alone = await spoken(VoiceChain([embedded]), SENTENCE)
        assert await spoken(chain, SENTENCE) == pytest.approx(alone, abs=0.05)


async def test_when_it_stops_in_mid_sentence_the_embedded_one_ends_the_sentence(
    tmp_path: Path,
) -> None:
    async def stops(turn: Turn) -> None:
        data = mp3(tone(4.0, lead_s=0))
        await turn.text("turn.start")
        for i, word in enumerate(SENTENCE.split()):
            await turn.word(word.strip("."), 0.4 * i, 0.4 * (i + 1))
        await turn.audio(data[: len(data) // 2])

    seen: list[VoiceChanged] = []
    async with EdgeServer(tmp_path, stops) as server, EspeakTTS() as embedded:
        chain = VoiceChain(
            [EdgeTTS(connector=server.connector, first_chunk_timeout_s=30), embedded]
        )
        chain.on("voice_changed", seen.append)
        whole = await spoken(VoiceChain([embedded]), SENTENCE)
        both = await spoken(chain, SENTENCE)
    # About 2.3 s of the tone, which stand for five words; the other five take half of the whole.
    assert both == pytest.approx(2.3 + whole / 2, abs=0.7)
    assert [change.mid_sentence for change in seen] == [True]


async def test_five_sessions_speak_at_once_through_one_process() -> None:
    process = EspeakProcess()
    chain = build("local", "en", process=process)
    sessions = [chain.for_session() for _ in range(5)]
    lengths = await asyncio.gather(*(spoken(session.reply(), SENTENCE) for session in sessions))
    assert lengths == pytest.approx([lengths[0]] * 5, abs=0.1)
    await chain.aclose()
    assert process.pid is not None  # it is the caller's
    await process.aclose()
