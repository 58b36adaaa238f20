"""What the service counts about itself, in a registry of its own."""

from collections.abc import Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# Watched from the first scrape on: a counter that appears only with its first error has no baseline.
KNOWN_SQLSTATES = ("23502", "42703", "42P01", "22P02", "53300", "57P03", "08006")
KNOWN_STATUSES = ("200", "500", "502", "503")
DEPENDENCY = "rating"


class Metrics:
    """The counters and histograms of one process of the service, every series labelled with its version."""

    def __init__(self, version: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.version = version
        self._requests = Counter(
            "http_requests_total",
            "Requests answered.",
            ("method", "endpoint", "status", "version"),
            registry=self.registry,
        )
        self._duration = Histogram(
            "http_request_duration_seconds",
            "Time to answer, in seconds.",
            ("endpoint", "version"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge("http_requests_in_flight", "Requests being answered now.", registry=self.registry)
        self._db_errors = Counter(
            "db_errors_total",
            "Errors PostgreSQL answered with, by SQLSTATE.",
            ("sqlstate", "version"),
            registry=self.registry,
        )
        self._connection_errors = Counter(
            "db_connection_errors_total",
            "Connections to PostgreSQL that could not be had or were lost.",
            ("version",),
            registry=self.registry,
        )
        self._dependency_errors = Counter(
            "dependency_errors_total",
            "Calls to another service that failed.",
            ("dependency", "version"),
            registry=self.registry,
        )
        for sqlstate in KNOWN_SQLSTATES:
            self._db_errors.labels(sqlstate, version)
        self._connection_errors.labels(version)
        self._dependency_errors.labels(DEPENDENCY, version)

    def expect(self, routes: Iterable[tuple[str, str]]) -> None:
        """Shows zero for every (method, endpoint) before its first request."""
        for method, endpoint in routes:
            for status in KNOWN_STATUSES:
                self._requests.labels(method, endpoint, status, self.version)
            self._duration.labels(endpoint, self.version)

    def answered(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        """One request answered after so many seconds."""
        self._requests.labels(method, endpoint, str(status), self.version).inc()
        self._duration.labels(endpoint, self.version).observe(seconds)

    def db_error(self, sqlstate: str) -> None:
        """PostgreSQL answered with this SQLSTATE."""
        self._db_errors.labels(sqlstate, self.version).inc()

    def db_connection_error(self) -> None:
        """A connection could not be had, or broke."""
        self._connection_errors.labels(self.version).inc()

    def dependency_error(self) -> None:
        """The rating service failed us."""
        self._dependency_errors.labels(DEPENDENCY, self.version).inc()

    def page(self) -> bytes:
        """The Prometheus text page."""
        return generate_latest(self.registry)
