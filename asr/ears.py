"""LiveKit's on-device VAD, for the probability of speech in each window of a stream.

Its licence allows it inside LiveKit Agents only; what runs elsewhere uses faster-whisper's own.
"""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from livekit.agents import inference, vad


class _Inline(Executor):
    """Runs the VAD where it is called: 0.1 ms a window; a thread's round trip costs that again."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as e:  # an executor hands every exception to the caller
            future.set_exception(e)
        return future


def on_device_vad() -> vad.VAD:
    """LiveKit's, for the probability of each window; what is speech the segmenter decides.

    With a threshold that no probability reaches, it gathers no audio of its own.
    """
    return inference.VAD(
        executor=_Inline(),
        activation_threshold=1.1,
        max_buffered_speech=1.0,
        prefix_padding_duration=0.0,
    )
