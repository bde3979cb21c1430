"""Speaks for the reception to a caller, and hears them: before an interview, and for last words.

What to say is the reception's to decide (`server.phone.reception`). The interview itself is held by
others: they have the peer between `leave` and `last_words`. All of it on the call loop.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable

from agent.plan import Plan
from server.api.ports import Busy
from server.equipment import Equipment
from server.invites import ExpiredInvite, InviteError, RevokedInvite, TooManyGuesses
from server.media.peer import Peer
from server.phone import acts, words
from server.phone.acts import Action, Input
from server.phone.reception import Reception
from server.phone.records import CallRecords, Invited
from server.phone.talk import Ears, Mouth
from server.store import StoreError
from tts.voices import Language

logger = logging.getLogger(__name__)

TICK_S = 0.1
RENEW_S = 10.0
"""How often the caller's place is kept anew: what is read aloud, with the answers to it, may take
longer than a place is kept."""
LINES_S = 60.0
"""The longest that the lines before an interview may take."""


class Attendant:
    """One call's. `tell` it what happens while it receives."""

    def __init__(
        self,
        peer: Peer,
        reception: Reception,
        records: CallRecords,
        equipment: Equipment,
        *,
        number: str,
        language: Language,
        expected: Invited | None,
        keep_place: Callable[[str], Awaitable[None]],
        over: asyncio.Event,
    ) -> None:
        """`number`: the caller's. `expected`: whose it is, or whom we called. `keep_place` of an
        interview raises `Busy` where there is none. `over`: the call is, and nothing more can be
        said."""
        self.interview_id = ""
        """Known from the right PIN on."""
        self.why = ""
        """How it ended, if it did not lead to an interview."""
        self._peer, self._reception, self._records = peer, reception, records
        self._equipment, self._number, self._expected = equipment, number, expected
        self._keep_place = keep_place
        self._language: Language = language
        self._plan: Plan | None = None
        self._over = over
        self._mouth: Mouth | None = None
        self._ears: Ears | None = None
        self._inbox: asyncio.Queue[Input] = asyncio.Queue()
        self._to_say: deque[str] = deque()
        self._speaking: asyncio.Task[None] | None = None
        self._held = self._missed = False
        self._renew_at = math.inf
        self._loop = asyncio.get_running_loop()

    def tell(self, what: Input) -> None:
        self._inbox.put_nowait(what)

    async def receive(self) -> bool:
        """Until it is decided whether the caller goes on to an interview."""
        self._listen()
        while not self._over.is_set():
            try:
                async with asyncio.timeout(TICK_S):
                    what = await self._inbox.get()
            except TimeoutError:
                what = acts.Tick(self._ears is not None and self._ears.busy)
            if isinstance(what, acts.Said) and self._under_way:
                continue  # of words that a key has stopped since
            for action in self._reception.on(what, self._loop.time()):
                done = await self._do(action)
                if done is not None:
                    return done
            await self._renew_place()
        return False

    async def _do(self, action: Action) -> bool | None:
        """True: join; False: it is over; None: go on."""
        match action:
            case acts.Stop():
                self._be_silent()
            case acts.Say(name):
                self._say(name)
            case acts.FindPin(pin):
                self._inbox.put_nowait(await self._find(pin))
            case acts.Consent():
                self._inbox.put_nowait(await self._write(action))
            case acts.WantsPerson(disclosed):
                await self._records.wants_person(self.interview_id, disclosed=disclosed)
            case acts.Join():
                await self._all_said()
                return True
            case acts.HangUp(why):
                self.why = why
                await self._all_said()
                return False
        return None

    async def _find(self, pin: str) -> Input:
        try:
            # The PIN decides: a number may be kept for somebody of the same house.
            if not pin and self._expected is not None:
                found = self._expected
            else:
                found = await self._records.by_pin(pin, self._number)
        except InviteError as error:
            return acts.NotFound(_why(error))
        if found.over:
            return acts.NotFound("over")
        self._know(found)
        return await self._placed(acts.Found(found.interview_id, found.consented))

    def _know(self, found: Invited) -> None:
        self.interview_id, self._plan = found.interview_id, found.plan
        if found.plan.language != self._language:
            self._language = found.plan.language
            self._listen()

    async def _placed(self, found: acts.Found) -> Input:
        """Nobody is asked for a consent who is then told that all lines are busy."""
        try:
            await self._keep_place(found.interview_id)
        except Busy:
            return acts.NotFound("full")
        self._renew_at = self._loop.time() + RENEW_S
        return found

    async def _write(self, answer: acts.Consent) -> Input:
        """Texts that have changed are there to be read when the reception hears of it."""
        assert self._plan is not None, "nobody is asked before it is known whose interview it is"
        written = await self._records.consent(self.interview_id, answer, self._plan)
        if written == acts.NotWritten("changed"):
            self._know(await self._records.invited(self.interview_id))
        return written

    async def _renew_place(self) -> None:
        if self._loop.time() < self._renew_at:
            return
        self._renew_at = self._loop.time() + RENEW_S
        try:
            await self._keep_place(self.interview_id)
        except (Busy, StoreError) as error:  # whether it is lost is seen when the caller joins
            logger.warning("a caller's place could not be kept: %s", error)

    def _listen(self) -> None:
        """Speak and hear in the language as it is now known."""
        self._deafen()
        voice = self._equipment.reception_voice(self._language, words.ready(self._language))
        self._mouth = Mouth(self._peer, voice)
        self._ears = Ears(
            self._equipment.recogniser,
            self._language,
            lambda text: self._inbox.put_nowait(acts.Heard(text)),
        )
        self._peer.on_heard(self._ears.hear)

    def _say(self, name: str) -> None:
        """Behind what is being said already."""
        self._to_say.append(name)
        if not self._under_way:
            self._speaking = asyncio.create_task(self._speak(), name="phone-words")

    @property
    def _under_way(self) -> bool:
        return self._speaking is not None and not self._speaking.done()

    def on_hold(self, held: bool) -> None:
        """What is said meanwhile is heard by nobody."""
        self._held, self._missed = held, self._missed or held

    async def _speak(self) -> None:
        while self._to_say and self._mouth is not None:
            self._missed = self._held
            name = self._to_say.popleft()
            said = await self._mouth.say(words.line(name, self._language, self._plan))
            if said and not self._missed:
                self._inbox.put_nowait(acts.Told(name))
        if self._ears is not None:
            self._ears.quiet()
        self._inbox.put_nowait(acts.Said())

    def _be_silent(self) -> None:
        self._to_say.clear()
        if self._speaking is not None:
            self._speaking.cancel()
            self._speaking = None
        if self._mouth is not None:
            self._mouth.stop()

    async def _all_said(self) -> None:
        if self._speaking is None:
            return
        over = asyncio.create_task(self._over.wait())
        await asyncio.wait(
            [over, self._speaking], timeout=LINES_S, return_when=asyncio.FIRST_COMPLETED
        )
        over.cancel()

    # --- at the end -------------------------------------------------------------------------------
    async def last_words(self, name: str) -> None:
        """One line, until it was heard or the call is over."""
        self._be_silent()
        self._listen()
        self._say(name)
        await self._all_said()

    def leave(self) -> None:
        """Somebody else speaks and hears from here on, or nobody."""
        self._be_silent()
        self._deafen()

    def _deafen(self) -> None:
        self._peer.on_heard(None)
        if self._ears is not None:
            self._ears.close()
            self._ears = None
        if self._mouth is not None:
            self._mouth.close()
            self._mouth = None


def _why(error: InviteError) -> acts.Why:
    match error:
        case TooManyGuesses():
            return "limited"
        case ExpiredInvite():
            return "expired"
        case RevokedInvite():
            return "revoked"
    return "unknown"
