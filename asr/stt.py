"""faster-whisper as a LiveKit STT: cut at pauses, recognised at once, one final after each pause.

This is what a session holds: settings, what is pending, and who is told of what. Its stream
(`asr.stream`) does the work.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial

from livekit.agents import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    APIError,
    NotGivenOr,
    stt,
    vad,
)
from livekit.agents.utils import AudioBuffer

from asr.decoder import base_language
from asr.ears import on_device_vad
from asr.heard import HeardSegment, Pending
from asr.listening import ListeningOptions
from asr.recognition import Recogniser, model_of
from asr.segmenter import SegmenterOptions
from asr.stream import WhisperStream

logger = logging.getLogger(__name__)

SegmentCallback = Callable[[HeardSegment], None]
IsBackchannel = Callable[[str, bool], bool]
"""(text, was the agent speaking) -> is it only a backchannel."""


class WhisperSTT(stt.STT):
    """One for each interview; the recogniser behind it serves all of them."""

    def __init__(
        self,
        recogniser: Recogniser,
        *,
        language: str,
        hotwords: Sequence[str] = (),
        vad: vad.VAD | None = None,
        segmenter: SegmenterOptions | None = None,
        final_after_s: float = ListeningOptions.final_after_s,
        interim_every_s: float | None = ListeningOptions.interim_every_s,
        stalled_after_s: float = 1.0,
        retry_after_s: float = ListeningOptions.retry_after_s,
        low_confidence_logprob: float = ListeningOptions.low_confidence_logprob,
        is_backchannel: IsBackchannel | None = None,
    ) -> None:
        """`hotwords` are the plan's terms, dearest first. `interim_every_s=None`: no interims.

        `stalled_after_s`: without any audio for so long, what is open is cut and recognised.
        """
        super().__init__(
            capabilities=stt.STTCapabilities(
                streaming=True, interim_results=True, offline_recognize=False
            )
        )
        self.recogniser = recogniser
        self.language = language
        self.hotwords = tuple(hotwords)
        self.segmenter = segmenter or SegmenterOptions()
        self.final_after_s = final_after_s
        self.interim_every_s = interim_every_s
        self.stalled_after_s = stalled_after_s
        self.retry_after_s = retry_after_s
        self.low_confidence_logprob = low_confidence_logprob
        self.is_backchannel = is_backchannel
        self.agent_speaking = False
        """Set by the session, for `is_backchannel`."""
        self.finals = 0
        """Finals given out so far."""
        self._vad = vad or on_device_vad()
        self._streams: set[WhisperStream] = set()
        self._on_segment: list[SegmentCallback] = []
        self._on_change: list[Callable[[], None]] = []

    @property
    def model(self) -> str:
        own = model_of(self.recogniser, base_language(self.language))
        return own.model if own else self.recogniser.model

    @property
    def provider(self) -> str:
        return "faster-whisper"

    @property
    def pending(self) -> Pending:
        """Of all its streams; the session has one at a time."""
        states = [stream.pending for stream in self._streams]
        return Pending(
            open=any(s.open for s in states),
            recognising=sum(s.recognising for s in states),
            unfinished=any(s.unfinished for s in states),
        )

    @property
    def pending_text(self) -> str:
        """What was said and has no final yet."""
        return " ".join(filter(None, (stream.pending_text for stream in self._streams)))

    def on_segment(self, callback: SegmentCallback) -> None:
        """Called with each segment, in order, before the final that holds it."""
        self._on_segment.append(callback)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Called whenever `pending` has changed."""
        self._on_change.append(callback)

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> WhisperStream:
        return WhisperStream(
            self, language=language or self.language, vad=self._vad, conn_options=conn_options
        )

    async def _recognize_impl(
        self,
        buffer: AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions,
    ) -> stt.SpeechEvent:
        raise APIError("WhisperSTT hears streams only: use stream().", retryable=False)

    def cut(self) -> None:
        """What is being said is an answer's end: it is recognised now, whatever comes after."""
        for stream in self._streams:
            stream.cut()

    # The streams report here.

    def _opened(self, stream: WhisperStream) -> None:
        self._streams.add(stream)

    def _closed(self, stream: WhisperStream) -> None:
        self._streams.discard(stream)
        self._changed()

    def _changed(self) -> None:
        for callback in self._on_change:
            _call(callback)

    def _report(self, heard: HeardSegment) -> None:
        for callback in self._on_segment:
            _call(partial(callback, heard))


def _call(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:
        # The session's listeners are strangers here, and one that raised would end the stream:
        # the candidate would talk to nobody.
        logger.exception("a listener of the speech recogniser failed")
