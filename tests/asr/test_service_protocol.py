"""The wire: what is written is read again, and garbage is refused with a sentence."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.recognition import HeardWord, Recognition
from asr.service import protocol
from asr.service.protocol import Hello, Ping, Recognise, Refused, Sound

WORD = HeardWord("yes", 0.25, 0.5, 0.9)


def test_messages_are_read_as_they_were_written() -> None:
    for message in (
        Hello(language="zh", hotwords=("Redis",)),
        Recognise(segment=2**32 - 1, samples=1, language="en", interim=True, source="7"),
        Ping(),
    ):
        assert protocol.from_client(message.model_dump_json()) == message


def test_a_recognition_travels_without_loss() -> None:
    found = Recognition("yes", "en", -0.125, 0.0625, (WORD,), 0.4)
    message = protocol.recognised(7, found)
    again = protocol.from_service(message.model_dump_json())
    assert isinstance(again, protocol.Recognised)
    assert protocol.recognition(again) == found


def test_sound_is_read_as_it_was_written() -> None:
    sound = protocol.unpack(protocol.pack(Sound(7, 2**40, np.array([-32_768, 0, 5], np.int16))))
    assert (sound.segment, sound.position, sound.end) == (7, 2**40, 2**40 + 3)
    assert sound.pcm.tolist() == [-32_768, 0, 5]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"hello"',
        '{"type": "hallo"}',
        '{"type": "hello", "token": "t"}',
        '{"type": "hello", "more": 1}',
        '{"type": "recognise", "segment": -1, "samples": 5, "language": "en"}',
        '{"type": "recognise", "segment": 1, "samples": 0, "language": "en"}',
        '{"type": "ready", "model": "m", "compute_type": "c", "device": "cpu"}',
        json.dumps({"type": "hello", "hotwords": ["x"] * 101}),
        "[" * 20_000,
    ],
)
def test_what_is_no_message_of_a_client_is_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        protocol.from_client(text)
    assert refused.value.code == "bad_message"


def test_a_refusal_repeats_nothing_of_what_came() -> None:
    with pytest.raises(Refused) as refused:
        protocol.from_client('{"type": "hello", "token": 123456789, "language": "secret-word-x"}')
    assert "123456789" not in str(refused.value)


@given(st.binary(max_size=64))
def test_any_bytes_are_sound_or_refused(data: bytes) -> None:
    try:
        sound = protocol.unpack(data)
    except Refused as e:
        assert e.code == "bad_frame"
    else:
        assert protocol.pack(sound) == data


@given(st.text(max_size=64))
def test_any_text_is_a_message_or_refused(text: str) -> None:
    with pytest.raises(Refused):
        protocol.from_client(text)


@pytest.mark.parametrize("length", [0, 5, 12, 13, 15])
def test_half_a_sample_or_none_is_refused(length: int) -> None:
    with pytest.raises(Refused, match="whole samples"):
        protocol.unpack(bytes(length))
