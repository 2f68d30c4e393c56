"""
kafka-python's member of a consumer group, made to see every join through, however short the polls are.

A join is asked for in one poll, and answered when the slowest member has asked, too: often between two polls.
kafka-python does not look at such an answer, but asks again. Asked by the leader of the group that begins the whole
join anew, which all others have to notice and ask for; so two members that poll at odds could go on for ever, and
nobody would read the leader's partitions. Where new metadata were the reason, it does not even ask again.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Any

from kafka.coordinator.consumer import ConsumerCoordinator
from kafka.future import Future


class _Join:
    """
    A join under way, as kafka-python knows its future: it is not over before somebody has looked at the answer.

    One that failed is over at once, for it leaves nothing to look at and has to be asked for anew.
    """

    def __init__(self, answer: Future) -> None:
        self._answer = answer

    @property
    def is_done(self) -> bool:
        return bool(self._answer.failed())

    def add_callback(self, found: Callable[[Any], object]) -> None:
        self._answer.add_callback(found)

    def add_errback(self, found: Callable[[BaseException], object]) -> None:
        self._answer.add_errback(found)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._answer.__await__()  # type: ignore[no-any-return]  # kafka-python has no type information


class Membership(ConsumerCoordinator):  # type: ignore[misc]  # kafka-python has no type information
    """The coordinator's client in a consumer: set as the class of the one that the consumer has made."""

    @property
    def _join_task(self) -> _Join | None:
        return self._join

    @_join_task.setter
    def _join_task(self, answer: Future | None) -> None:
        self._join = None if answer is None else _Join(answer)

    def need_rejoin(self) -> bool:
        """Return whether to join; once begun, until it is done, whatever was the reason."""
        return bool(self.rejoining or super().need_rejoin())

    def poll_heartbeat(self) -> None:
        """Raise what ended the heartbeats, and begin them again: without them the member would lose its partitions."""
        super().poll_heartbeat()
        self._maybe_start_heartbeat_loop()


def subscribe(consumer: Any, topics: Sequence[str], listener: Any) -> None:  # noqa: ANN401 - kafka-python has no types
    """Make a consumer that knows the topics' metadata, and has not polled yet, such a member of its group."""
    coordinator = consumer._coordinator  # noqa: SLF001 - nothing public takes another coordinator
    coordinator.__class__ = Membership
    coordinator._join_task = None  # noqa: SLF001 - from now on a property
    consumer.subscribe(topics=list(topics), listener=listener)
    # Else the first metadata that come after the join, minutes later, look like a change: all would join anew.
    coordinator._metadata_snapshot = coordinator._build_metadata_snapshot(  # noqa: SLF001 - as above
        consumer._subscription,  # noqa: SLF001 - as above
        consumer._cluster,  # noqa: SLF001 - as above
    )
