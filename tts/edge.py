"""Microsoft Edge's Read-Aloud voices through edge-tts: streamed MP3 in, frames out as they arrive.

Needs the network: what is spoken goes to Microsoft. The service is unofficial, and refuses (403),
throttles (503) and stops in mid-sentence; each of these, and silence, is an error here, raised soon
enough for another voice to speak instead. It opens a connection per sentence: reuse gets blocked.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

import aiohttp
import av
import edge_tts
from edge_tts.exceptions import EdgeTTSException, NoAudioReceived, SkewAdjustmentError
from edge_tts.typing import TTSChunk
from livekit.agents import (
    DEFAULT_API_CONNECT_OPTIONS,
    APIConnectionError,
    APIConnectOptions,
    APIError,
    APIStatusError,
    APITimeoutError,
    tts,
    utils,
)
from livekit.agents.types import TimedString

from tts.audio import NUM_CHANNELS, SAMPLE_RATE, EvenEdges, Resampler
from tts.text import speakable

VOICES = {"en": "en-US-EmmaMultilingualNeural", "zh": "zh-CN-XiaoxiaoNeural"}
"""The default voice for each language of an interview."""
FIRST_CHUNK_TIMEOUT_S = 1.5
STALL_TIMEOUT_S = 2.0
_TICKS_PER_SECOND = 10_000_000

# A server that sends rubbish makes edge-tts raise whatever its parsing meets.
_FAILURES = (TimeoutError, aiohttp.ClientError, EdgeTTSException, OSError, ValueError, KeyError)


class EdgeTTS(tts.TTS):
    """`connector` makes the way to the service: tests give one that leads to a server of theirs."""

    def __init__(
        self,
        voice: str = VOICES["en"],
        *,
        rate: str = "+0%",
        first_chunk_timeout_s: float = FIRST_CHUNK_TIMEOUT_S,
        stall_timeout_s: float = STALL_TIMEOUT_S,
        connector: Callable[[], aiohttp.BaseConnector] | None = None,
    ) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False, aligned_transcript=True),
            sample_rate=SAMPLE_RATE,
            num_channels=NUM_CHANNELS,
        )
        self._voice, self._rate = voice, rate
        self._connector = connector
        self.first_chunk_timeout_s = first_chunk_timeout_s
        self.stall_timeout_s = stall_timeout_s
        edge_tts.Communicate(
            "x", voice, rate=rate
        )  # a bad name or rate is a ValueError now, not later

    @property
    def model(self) -> str:
        return f"{self._voice} rate={self._rate}"

    @property
    def provider(self) -> str:
        return "edge-tts"

    def communicate(self, text: str) -> edge_tts.Communicate:
        return edge_tts.Communicate(
            text,
            self._voice,
            rate=self._rate,
            boundary="WordBoundary",  # tells how far a sentence came that stops in the middle
            connector=self._connector() if self._connector else None,
        )

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return _EdgeStream(tts=self, input_text=speakable(text), conn_options=conn_options)


class _EdgeStream(tts.ChunkedStream):
    _tts: EdgeTTS

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid(),
            sample_rate=SAMPLE_RATE,
            num_channels=NUM_CHANNELS,
            mime_type="audio/pcm",
        )
        if not self.input_text:
            return
        try:
            await self._speak(output_emitter)
        except _FAILURES as error:
            raise _as_api_error(error) from error

    async def _speak(self, emitter: tts.AudioEmitter) -> None:
        communicate = self._tts.communicate(self.input_text)
        decoder, edges = Mp3Decoder(), EvenEdges()
        received = 0
        words: list[TTSChunk] = []
        async with contextlib.aclosing(self._patiently(communicate)) as chunks:
            async for chunk in chunks:
                if chunk["type"] == "WordBoundary":
                    words.append(chunk)
                    continue
                received += len(chunk["data"])
                pcm = edges.push(decoder.push(chunk["data"]))
                if edges.heard_sound:
                    emitter.push_timed_transcript([_timed(w, edges.cut_lead_s) for w in words])
                    words.clear()
                if pcm:
                    emitter.push(pcm)
        # edge-tts takes a connection that closed for the end of the sentence; it counts only the
        # bytes of parts that the service itself declared ended.
        if communicate.state["cumulative_audio_bytes"] != received:
            raise aiohttp.ServerDisconnectedError("the voice service stopped in mid-sentence")
        emitter.push(edges.push(decoder.flush()) + edges.flush())
        if not edges.heard_sound:
            raise NoAudioReceived("the voice service sent silence")

    async def _patiently(self, communicate: edge_tts.Communicate) -> AsyncGenerator[TTSChunk, None]:
        """The service's chunks, as long as audio keeps coming; other messages do not count."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._tts.first_chunk_timeout_s
        async with contextlib.aclosing(communicate.stream()) as chunks:
            while True:
                async with asyncio.timeout_at(deadline):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                if chunk["type"] == "audio":
                    deadline = clock() + self._tts.stall_timeout_s
                yield chunk


class Mp3Decoder:
    """MP3 bytes, cut anywhere, to PCM at our rate."""

    def __init__(self) -> None:
        self._codec = av.CodecContext.create("mp3", "r")
        self._to_int16 = av.AudioResampler("s16", "mono")
        self._resampler: Resampler | None = None

    def push(self, data: bytes) -> bytes:
        return b"".join(self._decode(packet) for packet in self._codec.parse(data))

    def flush(self) -> bytes:
        rest = self.push(b"") + self._decode(None)
        return rest + (self._resampler.flush() if self._resampler else b"")

    def _decode(self, packet: av.Packet | None) -> bytes:
        try:
            decoded = self._codec.decode(packet)
        except av.InvalidDataError:  # a frame that is none (a tag, a splice): players skip it too
            return b""
        frames = [f for frame in decoded for f in self._to_int16.resample(frame)]
        return b"".join(self._at_our_rate(frame) for frame in frames)

    def _at_our_rate(self, frame: av.AudioFrame) -> bytes:
        if self._resampler is None:
            self._resampler = Resampler(frame.sample_rate)
        return self._resampler.push(frame.to_ndarray().tobytes())


def _timed(word: TTSChunk, cut_lead_s: float) -> TimedString:
    begin = word["offset"] / _TICKS_PER_SECOND - cut_lead_s
    end = begin + word["duration"] / _TICKS_PER_SECOND
    return TimedString(word["text"], start_time=max(0.0, begin), end_time=max(0.0, end))


def _as_api_error(error: Exception) -> APIError:
    match error:
        case TimeoutError():
            return APITimeoutError("the voice service sent no audio in time")
        case aiohttp.ClientResponseError(status=status):
            return APIStatusError(f"the voice service answered {status}", status_code=status)
        case SkewAdjustmentError():
            return APIStatusError(
                "the voice service refused, and did not tell its time", status_code=403
            )
        case NoAudioReceived():
            return APIError("the voice service sent no audio")
    return APIConnectionError("the voice service failed")
