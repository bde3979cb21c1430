"""A real AgentSession that hears through `viva asr`, whose process is killed in mid-answer."""

import asyncio
from pathlib import Path

import pytest

from asr.service.client import RemoteRecogniser
from asr.stt import WhisperSTT
from server.rehearsal.processes import free_port
from tests.asr.services import TOKEN, AsrProcess
from tests.asr.speech import errors, say, silence
from tests.asr.test_gate_session import FIRST, SECOND, Call
from tests.asr.turns import ScriptedDetector, until

pytestmark = pytest.mark.session

THIRD = "I led a team of seven engineers."


async def test_an_answer_over_a_restart_is_one_turn_and_whole(tmp_path: Path) -> None:
    """Its first sentence is recognised, its second waits while nobody is there, and the process
    that comes back gets the third."""
    async with AsrProcess(tmp_path, free_port()) as process:
        remote = await asyncio.to_thread(RemoteRecogniser, process.url, token=TOKEN)
        hearing = WhisperSTT(remote, language="en")
        call = Call(hearing, ScriptedDetector())
        # The turn must outlast a restart however slow this machine is; it ends when all is heard.
        call.gate.timeout_s = 60.0
        try:
            async with call.running(min_delay=1.0):
                await call.say(silence(0.5), say(FIRST), silence(0.3))
                await until(lambda: len(call.segments) == 1, 20)
                speaking = asyncio.create_task(call.say(say(SECOND), silence(0.3), say(THIRD)))
                await process.kill()
                await until(lambda: hearing.pending.recognising > 0, 30)
                process.start()
                await process.answers()
                await speaking
                await until(lambda: bool(call.turns), 60)
                assert len(call.turns) == 1
                assert errors(f"{FIRST} {SECOND} {THIRD}", call.turns[0]) == 0
                assert {one.verdict for one in call.segments} == {"ok"}

                await call.say(say(FIRST))
                await until(lambda: len(call.turns) == 2, 20)
                assert errors(FIRST, call.turns[1]) == 0
        finally:
            await asyncio.to_thread(remote.close)
