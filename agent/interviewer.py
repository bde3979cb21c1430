"""The LiveKit Agent around the machine: a settled turn becomes a move, a move becomes parts, parts
become sound.

Rules that bind here:

* `llm_node` has no side effects on the interview: preemptive generation calls it before the turn is
  settled. What
  it found out rides on the `Speech` and is written when the reply begins to sound.
* Nothing that LiveKit calls back may raise: a listener that raises kills the voice, a hook that
  raises drops a turn.
* The candidate's words come from the recogniser's segments (`heard`), not from LiveKit's
  transcript: a segment that
  is final is written at once, and the settled turn before the reply can sound.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from livekit import rtc
from livekit.agents import Agent, AgentSession, FlushSentinel, ModelSettings, StopResponse, llm
from livekit.agents.voice.events import (
    AgentStateChangedEvent,
    SpeechCreatedEvent,
    UserInputTranscribedEvent,
    UserStateChangedEvent,
)
from livekit.agents.voice.io import PlaybackFinishedEvent, PlaybackStartedEvent, TextOutput
from livekit.agents.voice.speech_handle import SpeechHandle

from agent.deadline import Filler, with_filler
from agent.events import EndReason, Event, Incident, InterviewEnded, RequestMade
from agent.ids import Counters
from agent.intents import is_backchannel, is_yes
from agent.interview import Interview, Line, Reply
from agent.journal import Fenced, Journal
from agent.playout import Playout
from agent.ports import Decider, Observer, Voice
from agent.session import TurnTaking
from agent.speech import Part, Speech
from agent.turn import Decided, Words
from agent.turns import CandidateTurns, Heard, Source
from agent.watch import Watch

logger = logging.getLogger(__name__)

ZERO_AGAIN_S = 30.0
"""A second zero within this, after what the first one does was said, asks for a person."""
CONFIRMS = {"1": {"en": "Yes.", "zh": "是"}, "2": {"en": "No.", "zh": "不是"}}
"""Keys that answer "do you want to end?", as the consent's do."""
FILLER_AFTER_S = 1.5
"""After the end of a turn something is said within this, whatever the model does."""

_current: ContextVar[Speech | None] = ContextVar("speech", default=None)
E = TypeVar("E")


class Given(NamedTuple):
    """The next reply that LiveKit creates is this one."""

    reply: Reply
    nudges: bool
    then: Reply | None


def guarded(
    listener: Callable[[Interviewer, E], None],
) -> Callable[[Interviewer, E], None]:
    """A listener that logs instead of raising."""

    @functools.wraps(listener)
    def call(self: Interviewer, event: E, /) -> None:
        try:
            listener(self, event)
        except Exception:  # the outermost edge of a callback
            logger.exception("listener %s failed", listener.__name__)

    return call


class Interviewer(Agent):
    """One call's Agent; a rejoin gets a new one over the same interview."""

    def __init__(
        self,
        journal: Journal,
        decider: Decider,
        voice: Voice,
        observer: Observer,
        *,
        clock: Callable[[], float],
        turn_taking: TurnTaking,
        past: Sequence[Event] = (),
    ) -> None:
        super().__init__(instructions="")
        self.interview: Interview = journal.interview
        self._journal = journal
        self._decider = decider
        self._voice = voice
        self._observer = observer
        self._clock = clock
        self._turn_taking = turn_taking
        self._ids = Counters.after(past)
        self._turns = CandidateTurns(journal, self._ids, clock)
        self._playout = Playout(journal, self._turns, self._ids, observer, clock)
        self._watch = Watch(self, self.interview, self._turns, clock)
        self._watching: asyncio.Task[None] | None = None
        self._next: Given | None = None
        self._speeches: dict[str, Speech] = {}
        self._speculation: Speech | None = None
        self._context: list[llm.ChatItem] = []
        """What LiveKit's context held when the speculation began."""
        self._zero_at = -math.inf
        self._settling = 0
        """Settled turns that are not durable yet."""
        self._session_in_use: AgentSession[None] | None = None

    # --- life ------------------------------------------------------------------------------------
    def attach(self, session: AgentSession[None]) -> None:
        """Listen to a session; call before `session.start`, with its outputs set."""
        self._session_in_use = session
        session.on("speech_created", self._speech_created)
        session.on("agent_state_changed", self._agent_state_changed)
        session.on("user_state_changed", self._user_state_changed)
        session.on("user_input_transcribed", self._transcribed)
        if (audio := session.output.audio) is not None:
            audio.on("playback_started", self._playback_started)
            audio.on("playback_finished", self._playback_finished)
        else:
            session.output.transcription = WrittenOutput(self)
            self._watch.written = True

    async def on_enter(self) -> None:
        """Open the interview, or after a rejoin go on where it stood."""
        self._watching = asyncio.create_task(self._watch.run(), name="watch")
        self.say_reply(self.interview.opening(self._clock()))

    async def on_exit(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    def end(self, reason: EndReason) -> None:
        """The interview is over."""
        if self.interview.ended is None:
            self._journal.add(InterviewEnded(at=self._clock(), reason=reason))
            self._observer.over(reason)

    @property
    def candidate_speaking(self) -> bool:
        return self._in_use().user_state == "speaking"

    @property
    def busy(self) -> bool:
        """A reply is being made or heard, or waits for its turn to be written; speculation on words
        still being said does not count."""
        made = any(s.given is not None or s.turn_ended.is_set() for s in self._speeches.values())
        return made or self._settling > 0

    # --- what the candidate does -----------------------------------------------------------------
    def heard(self, segment: Heard) -> None:
        """The recogniser is done with a segment."""
        if segment.verdict == "backchannel" and self._cutting_in:
            segment = replace(segment, verdict="ok")
        self._turns.heard(segment)
        self._watch.activity()
        if segment.text and segment.verdict in ("ok", "low_confidence"):
            self._observer.caption(
                "candidate", segment.text, final=True, utterance_id=self.interview.turn_id
            )
            if not self._cutting_in:
                self._give_way()

    def _give_way(self) -> None:
        """Words end a reply that they were said over. Their final would do so as well, but LiveKit
        begins no next reply at the pause before it while this one is only held."""
        handle = self._in_use().current_speech
        if handle is not None and handle.allow_interruptions:
            handle.interrupt()

    @property
    def _giving_way(self) -> bool:
        """A reply was interrupted and is not over yet."""
        handle = self._in_use().current_speech
        return handle is not None and handle.interrupted and not handle.done()

    def holds_back(self, text: str, under_the_voice: bool) -> bool:
        """Whether words must not become a turn: a backchannel said under the interviewer's voice,
        or the tail of an answer that is being cut in on."""
        speaking = under_the_voice or self._playout.playing is not None
        confirms = self.interview.confirming_end and is_yes(text)
        return self._cutting_in or (speaking and is_backchannel(text) and not confirms)

    async def typed(self, text: str) -> None:
        """A typed answer: a settled turn, together with what was said of it so far."""
        self._turns.typed(text)
        self._observer.caption("candidate", text, final=True, utterance_id=self.interview.turn_id)
        await self._settle_and_reply("typed")

    def typing(self) -> None:
        """An answer is being written: as good as a voice against the silence ladder."""
        self._watch.activity()

    async def request(self, request: RequestMade) -> None:
        """A button: as good as clear words, and a turn of its own."""
        self._journal.add(request)
        if request.request != "extra_time":
            await self._settle_and_reply("typed")

    async def pressed(self, key: str) -> None:
        """A key of a telephone: `*` the question again, `0` later or a person, `#` is the call's,
        which knows what is not recognised yet (`finish_answer`); others say what keys there are."""
        now, zero_at = self._clock(), self._zero_at
        self._watch.activity()
        self._zero_at = now if key == "0" else -math.inf
        if key == "*":
            await self.request(RequestMade(at=now, request="repeat"))
        elif key == "0" and now - zero_at < ZERO_AGAIN_S:
            await self.request(RequestMade(at=now, request="person"))
        elif self.interview.confirming_end and key in CONFIRMS:
            await self.typed(CONFIRMS[key][self.interview.plan.language])
        elif self.interview.ending is None:
            await self._in_use().interrupt(force=True)
            self.say_reply(self.interview.about_keys(zero=key == "0"))

    async def finish_answer(self) -> None:
        """The candidate says by a key that the answer is whole; without one it is nothing."""
        if self.interview.heard_text:
            await self._settle_and_reply("spoken")

    async def _settle_and_reply(self, source: Source) -> None:
        self._watch.activity()
        self._watch.new_turn()
        self._turns.settle(source)
        try:
            await self._durable()
        except Fenced:
            return
        session = self._in_use()
        await session.interrupt(force=True)
        session.clear_user_turn()
        self.reply_to_turn()

    async def on_user_turn_completed(
        self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage
    ) -> None:
        """LiveKit has decided that the turn is over: make it durable, then let the reply go."""
        try:
            await self._turn_completed(turn_ctx, new_message)
        except Fenced:
            raise StopResponse from None
        except StopResponse:
            raise
        except Exception:  # raised on, it would drop the candidate's turn without a word
            logger.exception("settling a turn failed; it is decided on as it stands")

    async def _turn_completed(
        self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage
    ) -> None:
        if not self.interview.heard_text:
            raise StopResponse
        if not await self._observer.line_holds():
            raise StopResponse  # the silence was the line's: the answer goes on after the rejoin
        ended_at = self._clock()
        delay = (new_message.metrics or {}).get("end_of_turn_delay")
        speculation, self._speculation = self._speculation, None
        basis = self._turns.basis()
        self._turns.settle("spoken", delay)
        self._watch.new_turn()
        await self._durable()
        if speculation is None:
            return
        if speculation.basis != basis:
            # LiveKit compares contexts: one message more, and it discards the stale reply.
            turn_ctx.add_message(role="system", content="the words have changed")
            return
        # The reply that was talked over has since joined the context, and LiveKit would discard a
        # speculation for it. Ours rests on the words and on the journal, which held it already.
        turn_ctx.items[:] = self._context
        speculation.end_turn(ended_at)

    async def _durable(self) -> None:
        """Wait for the settled turn to be written; a filler covers a wait that takes long."""
        self._settling += 1
        try:
            async with asyncio.timeout(FILLER_AFTER_S):
                await self._journal.committed()
        except TimeoutError:
            filler = Line("filler", self.interview.stock("filler"))
            self.say_reply(Reply(None, (filler,)))
            await self._journal.committed()
        finally:
            self._settling -= 1

    # --- a reply is made -------------------------------------------------------------------------
    def say_reply(
        self,
        reply: Reply,
        *,
        interruptible: bool = True,
        nudges: bool = False,
        then: Reply | None = None,
    ) -> None:
        """Say a reply that code chose, and `then` another; a nudge does not end a silence."""
        if not reply.lines and not reply.acknowledgement and reply.move is None:
            return
        self._next = Given(reply, nudges, then)
        self._in_use().generate_reply(allow_interruptions=interruptible)

    def reply_to_turn(self) -> None:
        """Decide on the settled turn."""
        self._next = None
        self._in_use().generate_reply()

    @guarded
    def _speech_created(self, event: SpeechCreatedEvent) -> None:
        handle = event.speech_handle
        speech = Speech(handle.id, self._ids.next_reply())
        if self._next is not None:
            speech.given, speech.nudges, speech.then = self._next
            self._next = None
        else:
            speech.basis = self._turns.basis()
            if self.interview.settled is not None and not self.interview.heard_text:
                speech.end_turn(self._clock())
            else:
                self._speculation = speech
                self._context = list(self.chat_ctx.items)
        self._speeches[handle.id] = speech
        # LiveKit creates the reply's tasks after this listener returns: they inherit the context.
        _current.set(speech)
        handle.add_done_callback(self._speech_done)

    async def llm_node(
        self, chat_ctx: llm.ChatContext, tools: list[Any], model_settings: ModelSettings
    ) -> AsyncIterator[str | FlushSentinel]:
        """One reply's parts, each followed by a FlushSentinel so that it is spoken by itself."""
        speech = _current.get()
        if speech is None:
            return
        async for part in self._parts(speech):
            yield part.text
            yield FlushSentinel()

    async def _parts(self, speech: Speech) -> AsyncIterator[Part]:
        if speech.given is None:
            await self._quiet_or_ended(speech)
        view, at = self._view(speech), self._clock()
        forced = view.forced(at) if speech.given is None else None
        given = speech.given or (view.reply(forced, at) if forced is not None else None)
        if given is not None:
            speech.reply = given
            for part in speech.add_reply(given):
                yield part
            return
        stream = self._decider.decide(view, at, speech.turn_ended)
        async for item in with_filler(stream, speech.turn_ended, FILLER_AFTER_S):
            for part in self._released(speech, view, item):
                yield part

    def _released(
        self, speech: Speech, view: Interview, item: Words | Decided | Filler
    ) -> list[Part]:
        match item:
            case Filler():
                return [speech.add("filler", view.stock("filler"))]
            case Words(text=text):
                return [speech.add("acknowledgement", text)]
            case Decided(reply=reply, findings=findings, usage=usage):
                speech.findings, speech.usage = list(findings), usage
                speech.reply = reply
                self._playout.decided(speech)
                return speech.add_reply(reply)

    async def _quiet_or_ended(self, speech: Speech) -> None:
        """Until the turn has ended the model is asked only in quiet (one request, not one a word)
        and when what was heard of a reply that was talked over is written."""
        while not speech.turn_ended.is_set() and (self.candidate_speaking or self._giving_way):
            try:
                async with asyncio.timeout(0.02):
                    await speech.turn_ended.wait()
            except TimeoutError:
                continue

    def _view(self, speech: Speech) -> Interview:
        """The interview as it will be once the words that this reply answers are settled."""
        if speech.given is not None or not self.interview.heard_text:
            return self.interview
        view = self.interview.fork()
        view.apply(self._turns.settled("spoken"))
        return view

    async def tts_node(
        self, text: AsyncIterable[str], model_settings: ModelSettings
    ) -> AsyncIterator[rtc.AudioFrame]:
        """One call is one part: its words are whole, so that a rendered line is a look-up."""
        speech = _current.get()
        async for _ in text:
            pass  # the part has the same words
        if speech is None or speech.synthesised >= len(speech.parts):
            return
        part = speech.parts[speech.synthesised]
        speech.synthesised += 1
        try:
            async for frame in self._voice.speak(self.interview.aloud(part.text), speech.reply_id):
                if not part.synthesised_s:
                    speech.audible.append(part)
                part.synthesised_s += frame.duration
                yield frame
        except Exception as error:  # raised on, it would lose the reply without an error event
            logger.exception("no voice for a line")
            detail = type(error).__name__
            self._journal.add(Incident(at=self._clock(), kind="voice_failed", detail=detail))
        part.whole = True

    # --- a reply is heard ------------------------------------------------------------------------
    @guarded
    def _playback_started(self, event: PlaybackStartedEvent) -> None:
        speech = self._current_speech()
        if speech is None:
            return
        if self._answered_already(speech):
            logger.warning("a second reply to turn %s was stopped", speech.basis)
            if (handle := self._in_use().current_speech) is not None:
                handle.interrupt(force=True)
            return
        self._playout.started(speech)

    def _answered_already(self, speech: Speech) -> bool:
        """Another reply to its turn has been heard: nobody is asked the same thing twice."""
        if speech.given is not None or speech.move_written or speech.basis is None:
            return False
        settled = self.interview.settled
        return settled is None or settled.turn_id != speech.basis[0]

    @guarded
    def _playback_finished(self, event: PlaybackFinishedEvent) -> None:
        self._playout.ended(event.playback_position, event.interrupted)

    def written(self) -> None:
        """A part of the reply was shown in an interview by text."""
        speech = self._current_speech()
        if speech is not None and speech.played < len(speech.parts):
            self._playout.shown(speech, speech.parts[speech.played])

    def _current_speech(self) -> Speech | None:
        handle = self._in_use().current_speech
        return self._speeches.get(handle.id) if handle is not None else None

    @guarded
    def _speech_done(self, handle: SpeechHandle) -> None:
        speech = self._speeches.pop(handle.id, None)
        if speech is None or speech.reply is None:
            return
        if self._playout.playing is speech:
            self._playout.playing = None
        if handle.interrupted and not speech.audible:
            return  # nothing was heard, so nothing is so: the turn is decided on again
        if not speech.parts:
            self._playout.write_move(speech)  # a silent `wait`
        elif not speech.audible:
            for part in speech.parts:  # no voice works: the lines stand as captions
                self._playout.shown(speech, part)
        self._end_if_said(speech)
        self._tune()
        if speech.then is not None and self.interview.ended is None:
            self.say_reply(speech.then)

    def _end_if_said(self, speech: Speech) -> None:
        last = speech.last_started()
        if last is None or last.line is None or last.line.ends is None:
            return
        if last.interrupted and self._watch.closing_cut_at is None:
            self._watch.closing_cut_at = self._clock()  # the candidate has something to add
            return
        self.end(last.line.ends)

    def _tune(self) -> None:
        """Give the open question's think time to LiveKit's endpointing."""
        if self._in_use().output.audio is not None:
            patience = self._turn_taking.patience_after(self.interview.think_time())
            self._in_use().update_options(endpointing_opts={"max_delay": patience})

    @property
    def _cutting_in(self) -> bool:
        return any(s.then is not None for s in self._speeches.values())

    # --- states and captions ---------------------------------------------------------------------
    @guarded
    def _agent_state_changed(self, event: AgentStateChangedEvent) -> None:
        self._observer.state(event.new_state)
        if not any(speech.nudges for speech in self._speeches.values()):
            self._watch.activity()

    @guarded
    def _user_state_changed(self, event: UserStateChangedEvent) -> None:
        self._watch.activity()
        if event.new_state == "speaking" and self._turns.speaking_since is None:
            self._turns.speaking_since = self._clock()

    @guarded
    def _transcribed(self, event: UserInputTranscribedEvent) -> None:
        if not event.is_final:
            self._observer.caption(
                "candidate", event.transcript, final=False, utterance_id=self.interview.turn_id
            )

    def _in_use(self) -> AgentSession[None]:
        assert self._session_in_use is not None, "attach() comes before the session starts"
        return self._session_in_use


class WrittenOutput(TextOutput):
    """The output of an interview by text: a part is read as soon as it is written."""

    def __init__(self, interviewer: Interviewer) -> None:
        super().__init__(label="written", next_in_chain=None)
        self._interviewer = interviewer

    async def capture_text(self, text: str) -> None:
        """The part's words are known already."""

    def flush(self) -> None:
        self._interviewer.written()
