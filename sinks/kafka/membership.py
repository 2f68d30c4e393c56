"""
kafka-python's member of a consumer group, with two faults of version 3.0.12 mended.

**A join that is answered between two polls is thrown away.** `join_group_async` keeps a join under way in `_join_task`
when its poll ends, for the next poll to await. But the next poll awaits it only while `is_done` is false: if the answer
came in the meantime, it sends a new JoinGroup. Sent by the group's leader, that begins the rebalance anew, and every
other member has to notice and join again. It shows when polls are shorter than a rebalance: two members that poll at
odds rebalance without end, and the leader's partitions are read by no member. If changed metadata were the reason for
the join, `need_rejoin` is false once it is answered: the member neither looks at the answer nor asks again, and is left
without partitions.

**Heartbeats that end are not begun again.** `poll_heartbeat` raises the error that ended the heartbeat loop, and
leaves a new loop to `ensure_active_group`, which a stable member never calls. It shows after a lost connection: the
member sends no heartbeats, the broker gives its partitions to others after the session timeout, and it does not know.

Neither mend is needed once the tests of `tests/integration/sinks/test_kafka_source.py` that name metadata, the leader
of the group and heartbeats pass with `ConsumerCoordinator` in the place of `Membership`.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Any

from kafka.coordinator.consumer import ConsumerCoordinator
from kafka.future import Future

from sinks.kafka import private_names


class _Join:
    """
    A join under way, in the place of kafka-python's future: not done before a poll has awaited its answer.

    A failed join is done at once: it has no answer to await, and has to be sent anew.
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
    """The coordinator client of a consumer: `subscribe` sets it as the class of the consumer's own."""

    @property
    def _join_task(self) -> _Join | None:
        return self._join

    @_join_task.setter
    def _join_task(self, answer: Future | None) -> None:
        self._join = None if answer is None else _Join(answer)

    def need_rejoin(self) -> bool:
        """Return whether to join. A join that was begun is needed until it is complete."""
        return bool(self.rejoining or super().need_rejoin())

    def poll_heartbeat(self) -> None:
        """Raise the error that ended the heartbeat loop, once; begin a new loop at the next call."""
        super().poll_heartbeat()
        self._maybe_start_heartbeat_loop()


def subscribe(consumer: Any, topics: Sequence[str], listener: Any) -> None:  # noqa: ANN401 - kafka-python has no types
    """Join the group as such a member. The consumer must have the topics' metadata, and not have polled yet."""
    private_names.join_as(consumer, Membership)
    consumer.subscribe(topics=list(topics), listener=listener)
    # Without it the first metadata after the join, minutes later, look like a change, and every member joins again.
    private_names.note_metadata(consumer)
