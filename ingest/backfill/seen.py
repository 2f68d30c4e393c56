"""
The pages of a backfill that watches: whether it gets on, and its metrics.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ingest.backfill.client import Routee
from ingest.backfill.filling import Filling
from ingest.backfill.rounds import Tally
from streams.program.pages import Pages, fine, trouble
from streams.program.vitals import Vitals

KINDS = ("final", "missing", "status")


class Seen(Collector):
    """The state of the backfill as its pages show it; `trouble` is why it does not get on, None when it does."""

    def __init__(self, tally: Tally, routee: Routee, filling: Filling) -> None:
        self.trouble: str | None = "the first round is not over"
        self.round_end: float | None = None
        """When the last round came to its end that did not end early, in seconds since 1970."""
        self._tally = tally
        self._routee = routee
        self._filling = filling
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._vitals = Vitals("backfill")

    def pages(self) -> Pages:
        """Return what the pages say."""
        return Pages(
            live=lambda: fine("ok"),
            ready=lambda: trouble(self.trouble) if self.trouble else fine("ok"),
            metrics=lambda: generate_latest(self._registry) + self._vitals.render(),
        )

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        tally = self._tally
        yield _counter("requests", "requests to Routee, those for tokens included", self._routee.asked)
        yield _counter("stored", "callbacks and reports that were stored", self._filling.stored)
        healed = CounterMetricFamily("routee_backfill_healed", "SMS whose status was not told", labels=["kind"])
        for kind in KINDS:
            healed.add_metric([kind], tally.healed[kind])
        yield healed
        yield _counter("reports", "reports of campaigns that were not told", tally.reports)
        yield _counter("nameless", "SMS left out because nothing told the id of their campaign", tally.nameless)
        yield _counter("unknown", "ids that Routee does not know", tally.unknown)
        yield _counter("unreadable", "objects of Routee that are no SMS or campaign", sum(tally.unreadable.values()))
        yield _counter("incomplete", "lists that five passes did not give whole", tally.incomplete)
        if tally.is_judged:  # a 0 before would make all of them new ones
            yield _gauge("unsettled", "messages that are not final, or lack parts, after the grace", tally.unsettled)
            yield _gauge("gone", "unsettled messages that Routee does not tell any more", tally.gone)
            yield _gauge("gone_price", "price of these messages", float(tally.gone_price))
        if tally.oldest_deadline is not None:
            about = "when Routee stops telling the oldest of them, in seconds since 1970"
            yield _gauge("oldest_deadline_seconds", about, tally.oldest_deadline)
        if self.round_end is not None:
            about = "when the last round came to its end, in seconds since 1970"
            yield _gauge("round_end_seconds", about, self.round_end)
        yield _gauge("ready", "whether the last round came to its end", 0 if self.trouble else 1)


def _counter(name: str, about: str, value: float) -> Metric:
    return CounterMetricFamily(f"routee_backfill_{name}", about, value=value)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"routee_backfill_{name}", about, value=value)
