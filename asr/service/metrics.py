"""What `viva asr` counts, for Prometheus; a registry of its own, so that two services may share a
process.
"""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


class Metrics:
    def __init__(
        self,
        queued: Callable[[], int],
        sessions: Callable[[], int] = lambda: 0,
        promised: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Asked for when the numbers are read: segments that wait for the recogniser, sessions that
        were let in, and the share of the recogniser's time that these need."""
        self._registry = own = CollectorRegistry()
        self.model = Gauge(
            "viva_asr_model_info",
            "1, with what is loaded.",
            ["model", "compute_type", "device"],
            registry=own,
        )
        self.connections = Gauge(
            "viva_asr_connections", "Connections with a token.", ["kind"], registry=own
        )
        queue = Gauge(
            "viva_asr_queued_segments", "Segments that wait for the recogniser.", registry=own
        )
        queue.set_function(queued)
        entered = Gauge("viva_asr_sessions", "Sessions that were let in.", registry=own)
        entered.set_function(sessions)
        share = Gauge(
            "viva_asr_promised_ratio",
            "Share of the recogniser's time that they need; 1 is all of it.",
            registry=own,
        )
        share.set_function(promised)
        self.audio = Counter(
            "viva_asr_audio_seconds", "Sound that came in.", ["kind"], registry=own
        )
        self.segments = Counter(
            "viva_asr_segments",
            "Segments by what became of them, each time that they were asked for: one that was"
            " refused is asked for again. Interims are counted apart.",
            ["outcome"],
            registry=own,
        )
        self.seconds = Histogram(
            "viva_asr_recognition_seconds",
            "From asking for a segment to its text, the wait for its turn included.",
            buckets=_SECONDS,
            registry=own,
        )
        self.refused = Counter(
            "viva_asr_refused",
            "Connections ended by an error, and sessions turned away.",
            ["code"],
            registry=own,
        )

    def text(self) -> bytes:
        """In Prometheus's exposition format."""
        return generate_latest(self._registry)
