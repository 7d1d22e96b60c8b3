"""What the service counts, in the format of Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Telemetry:
    """Counters of one service; memory and CPU time of its process come along."""

    def __init__(self, *, queue: Callable[[], float], version: Callable[[], float], job: Callable[[], float]) -> None:
        """`queue`, `version`, `job`: lines that wait, the version that serves, the job at work (0: none)."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "netchu_requests", "Requests by route and status", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "netchu_request_seconds", "Time to answer", ["route"], buckets=SECONDS, registry=self.registry
        )
        self.lines = Counter("netchu_lines", "Lines read", registry=self.registry)
        self.batch_lines = Histogram(
            "netchu_batch_lines", "Lines a batch", buckets=(1, 2, 4, 8, 16, 32), registry=self.registry
        )
        self.batch_seconds = Histogram(
            "netchu_batch_seconds", "Time to read a batch", buckets=SECONDS, registry=self.registry
        )
        self.corrections = Counter(
            "netchu_corrections", "Corrections by whether the image was new", ["new"], registry=self.registry
        )
        for name, about, value in (
            ("netchu_queue_lines", "Lines that wait", queue),
            ("netchu_version", "Model version that serves", version),
            ("netchu_job", "Retraining job at work, 0 without one", job),
        ):
            Gauge(name, about, registry=self.registry).set_function(value)

    def observe_batch(self, lines: int, seconds: float) -> None:
        """Count a batch that was read."""
        self.lines.inc(lines)
        self.batch_lines.observe(lines)
        self.batch_seconds.observe(seconds)

    def observe_request(self, route: str, status: int, seconds: float) -> None:
        """Count an answered request; `route` is a pattern, never a raw path."""
        self.requests.labels(route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All figures as Prometheus reads them."""
        return generate_latest(self.registry)
