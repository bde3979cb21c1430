"""What a client and `viva asr` say to each other: the one place that knows the wire.

Rules (docs/asr.md says them to the other side):
- Text frames are the messages below, as JSON with a `type`; binary frames carry sound.
- Who opens a connection has the token (asr/service/authorisation.py). The first frame is `hello`.
- A connection is of one kind. `stream`: its sound is one stream, cut and recognised by the service.
  `segments`: the client cuts by itself, and asks for one segment after the other, by number.
- A binary frame is a header (`HEADER`: segment's number, first sample's position) and s16le mono at
  16 kHz. Positions go on without gap or overlap: every sample is accounted for.
- What breaks a rule ends the connection with an `error`; what only one segment suffers names it.
"""

import struct
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from asr.recognition import ByLanguage, HeardWord, Recognition
from asr.segmenter import SAMPLE_RATE, Pcm

MAX_FRAME = 64 * 1024
"""Bytes of one frame; a longer one ends the connection with WebSocket's own code 1009."""
HEADER = struct.Struct("<IQ")
"""The segment's number (0 in a stream), and the position of the frame's first sample: in the
stream, or in the segment."""
FRAME_SAMPLES = SAMPLE_RATE
"""What our own client puts into one frame."""

Kind = Literal["stream", "segments"]
Code = Literal[
    "unauthorised",  # by HTTP's 401: no token, or a wrong one
    "bad_format",  # another rate, more channels
    "bad_message",  # no JSON, an unknown type, a field that does not fit
    "bad_frame",  # half a sample, no header, a position or a segment that was not due
    "unknown_language",  # the model has no such language
    "too_long",  # a segment of more than the model takes
    "too_fast",  # a stream sent faster than it is recognised
    "too_slow",  # the answers are not read
    "idle",  # nothing came for a minute
    "at_capacity",  # no further session can be heard well now; later, or elsewhere
    "overloaded",  # the recogniser has more than it can do in time; later, or elsewhere
    "failed",  # this segment could not be recognised
    "draining",  # the service is about to stop: go on with the next one
]
CLOSE: dict[Code, int] = {
    "at_capacity": 1013,
    "overloaded": 1013,
    "too_slow": 1013,
    "draining": 1012,
    "failed": 1011,
}
"""WebSocket's codes; 1008 ("policy violation") where none stands here."""

Position = Annotated[int, Field(ge=0, lt=2**63)]
Number = Annotated[int, Field(ge=0, lt=2**32)]
Text = Annotated[str, Field(max_length=200)]


class Refused(Exception):
    """The connection cannot go on; the message is for whoever wrote or runs the client."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


class Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


# From the client.


class Hello(Message):
    type: Literal["hello"] = "hello"
    kind: Kind = "stream"
    language: Annotated[str, Field(max_length=20)] = "en"
    """Of a stream."""
    hotwords: Annotated[tuple[Text, ...], Field(max_length=100)] = ()
    """Of a stream: terms that are likely to be said, dearest first."""
    regardless: bool = False
    """Of a stream that goes on after a lost connection: it was in, and is not refused."""
    rate: int = SAMPLE_RATE
    channels: int = 1


class Recognise(Message):
    """One segment, whose sound follows in binary frames with the same number."""

    type: Literal["recognise"] = "recognise"
    segment: Number
    samples: Annotated[int, Field(ge=1)]
    language: Annotated[str, Field(max_length=20)]
    hotwords: Annotated[tuple[Text, ...], Field(max_length=100)] = ()
    interim: bool = False
    """Only if the recogniser has nothing else to do; refused as `overloaded` otherwise."""
    source: Text = ""
    """Which stream it belongs to: streams with segments waiting take turns."""


class Cancel(Message):
    """The segment is no longer of interest; no answer follows."""

    type: Literal["cancel"] = "cancel"
    segment: Number


class Enter(Message):
    """May one more session begin? Of a worker that recognises segments; a stream asks by hello."""

    type: Literal["enter"] = "enter"
    session: Text
    regardless: bool = False
    """It was in before the connection was lost: it is counted, and not refused."""


class Leave(Message):
    """A session has ended. All of a connection's leave with it."""

    type: Literal["leave"] = "leave"
    session: Text


class Flush(Message):
    """Cut the stream here, whatever is being said."""

    type: Literal["flush"] = "flush"


class End(Message):
    """No more sound: recognise what there is, answer `ended`, and close."""

    type: Literal["end"] = "end"


class Ping(Message):
    type: Literal["ping"] = "ping"


# From the service.


class Loaded(Message):
    model: str
    compute_type: str
    device: str


class Ready(Message):
    type: Literal["ready"] = "ready"
    model: str
    compute_type: str
    device: str
    languages: dict[str, Loaded] = {}
    """Languages that have a model of their own; the one above is for all others."""

    @property
    def models(self) -> str:
        """For a person."""
        return self.model + "".join(
            f", {one.model} for {lang}" for lang, one in self.languages.items()
        )


class Word(Message):
    text: str
    start: float
    """Seconds: in the stream, or in the segment that was asked for."""
    end: float
    probability: float | None


class Interim(Message):
    """What is being said, as far as it can be told; best effort."""

    type: Literal["interim"] = "interim"
    text: str


class Preflight(Message):
    """The speaker pauses, and all that was said is recognised: an answer may be prepared."""

    type: Literal["preflight"] = "preflight"
    text: str


class Final(Message):
    """One segment of the stream. Their cores [start, end) follow one another without a gap."""

    type: Literal["final"] = "final"
    segment: Number
    start: Position
    end: Position
    voice_start: Position
    voice_end: Position
    text: str
    confidence: float | None
    """Null where the model gives none; so are `avg_logprob` and the words' probabilities."""
    words: tuple[Word, ...]
    verdict: Literal["ok", "low_confidence", "dropped", "failed"]
    reason: str | None
    """Why it was dropped, or has failed."""


class Utterance(Message):
    """The speaker has been silent for a while; the finals' text since the last one."""

    type: Literal["utterance"] = "utterance"
    text: str


class Recognised(Message):
    """The answer to `recognise`; the client judges by itself whether to believe it."""

    type: Literal["recognised"] = "recognised"
    segment: Number
    text: str
    language: str
    avg_logprob: float | None
    no_speech_prob: float
    temperature: float
    words: tuple[Word, ...]


class Entered(Message):
    type: Literal["entered"] = "entered"
    session: Text


class TurnedAway(Message):
    """This session may not begin now; the others, and the connection, go on."""

    type: Literal["turned_away"] = "turned_away"
    session: Text
    text: str


class Error(Message):
    """With a segment: only that one is refused. Without: the connection is closed."""

    type: Literal["error"] = "error"
    code: Code
    text: str
    segment: Number | None = None


class Pong(Message):
    type: Literal["pong"] = "pong"
    settled: Position
    """Sound of the stream before this position is not needed again, whatever happens."""
    queued: int
    """Segments that wait for the recogniser, of all clients."""


class Ended(Message):
    type: Literal["ended"] = "ended"
    samples: Position
    """Where the stream ended. What lies between the last core and here was silence."""


FromClient = Hello | Recognise | Cancel | Enter | Leave | Flush | End | Ping
FromService = (
    Ready
    | Interim
    | Preflight
    | Final
    | Utterance
    | Recognised
    | Entered
    | TurnedAway
    | Error
    | Pong
    | Ended
)

_CLIENT: TypeAdapter[FromClient] = TypeAdapter(Annotated[FromClient, Field(discriminator="type")])
_SERVICE: TypeAdapter[FromService] = TypeAdapter(
    Annotated[FromService, Field(discriminator="type")]
)


def from_client(text: str) -> FromClient:
    return _read(_CLIENT, text)


def from_service(text: str) -> FromService:
    return _read(_SERVICE, text)


_M = TypeVar("_M")


def _read(adapter: "TypeAdapter[_M]", text: str) -> _M:
    try:
        return adapter.validate_json(text)
    except ValidationError as e:
        first = e.errors(include_url=False, include_input=False)[0]  # the input may be a token
        where = ".".join(str(part) for part in first["loc"])
        raise Refused("bad_message", f"{where or 'message'}: {first['msg']}") from e


@dataclass(frozen=True)
class Sound:
    """One binary frame."""

    segment: int
    position: int
    pcm: Pcm

    @property
    def end(self) -> int:
        return self.position + len(self.pcm)


def pack(sound: Sound) -> bytes:
    return HEADER.pack(sound.segment, sound.position) + sound.pcm.astype("<i2").tobytes()


def unpack(data: bytes) -> Sound:
    if len(data) <= HEADER.size or (len(data) - HEADER.size) % 2:
        raise Refused("bad_frame", "A binary frame is a header of 12 bytes and whole samples.")
    segment, position = HEADER.unpack_from(data)
    if position >= 2**62:
        raise Refused("bad_frame", f"No stream is {position} samples long.")
    return Sound(segment, position, np.frombuffer(data, "<i2", offset=HEADER.size))


def ready(recogniser: object, model: str, compute_type: str, device: str) -> Ready:
    own = recogniser.languages if isinstance(recogniser, ByLanguage) else {}
    return Ready(
        model=model,
        compute_type=compute_type,
        device=device,
        languages={
            language: Loaded(model=o.model, compute_type=o.compute_type, device=o.device)
            for language, o in own.items()
        },
    )


def words_out(words: tuple[HeardWord, ...]) -> tuple[Word, ...]:
    return tuple(
        Word(text=w.text, start=w.start_s, end=w.end_s, probability=w.probability) for w in words
    )


def recognised(segment: int, found: Recognition) -> Recognised:
    return Recognised(
        segment=segment,
        text=found.text,
        language=found.language,
        avg_logprob=found.avg_logprob,
        no_speech_prob=found.no_speech_prob,
        temperature=found.temperature,
        words=words_out(found.words),
    )


def recognition(message: Recognised) -> Recognition:
    return Recognition(
        text=message.text,
        language=message.language,
        avg_logprob=message.avg_logprob,
        no_speech_prob=message.no_speech_prob,
        temperature=message.temperature,
        words=tuple(HeardWord(w.text, w.start, w.end, w.probability) for w in message.words),
    )
