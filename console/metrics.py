"""
The metrics, each named once.
"""

from prometheus_client import Counter, Gauge

from streams.program.registry import new_registry


class Metrics:
    """One set per process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = new_registry()
        self.pages = Counter("routee_console_pages", "Pages that were shown", ["place"], registry=self.registry)
        self.viewers = Gauge("routee_console_viewers", "Open streams of live numbers", registry=self.registry)
        self.records = Gauge(
            "routee_console_records", "Records read from Kafka since the start", registry=self.registry
        )
        self.unreadable = Gauge(
            "routee_console_unreadable_records", "Records that are not what their topic has", registry=self.registry
        )
        self.queries = Gauge("routee_console_queries", "Queries asked since the start", registry=self.registry)
        self.query_failures = Gauge(
            "routee_console_failed_queries", "Queries without an answer since the start", registry=self.registry
        )
        self.unmasked = Counter(
            "routee_console_unmasked_looks", "Looks at numbers and texts; each is in the log", registry=self.registry
        )
        self.logins = Counter(
            "routee_console_logins", "Tokens that were shown to the login", ["result"], registry=self.registry
        )
        for result in ("taken", "refused"):
            self.logins.labels(result)
