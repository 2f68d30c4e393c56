"""
Sharing partitions out between workers. Pure.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

Shares = Mapping[str, AbstractSet[int]]
"""Partitions of each worker."""


def share_out(held: Shares, warm: Shares, partitions: int) -> dict[str, set[int]]:
    """
    Return the partitions of each worker. The numbers of partitions differ by one at most.

    `held` has the partitions that each worker owns now: no partition twice, none for a worker that joins. As few
    partitions as possible move, because each must be restored. A partition that must move goes first to a worker that
    has its rows (`warm`). Every caller gets the same result: it does not depend on the names of workers.
    """
    fewest, more = divmod(partitions, len(held))
    warmth = {worker: len(warm.get(worker, ())) for worker in held}
    order = sorted(held, key=lambda one: (-len(held[one]), min(held[one], default=partitions), -warmth[one]))
    room = {worker: fewest + (place < more) for place, worker in enumerate(order)}
    takers = [worker for worker in order if len(held[worker]) < room[worker]]
    wanted = set[int]().union(*(warm.get(worker, set()) for worker in takers))
    given = {
        worker: set(sorted(held[worker], key=lambda number: (number in wanted, number))[: room[worker]])
        for worker in order
    }
    free = set(range(partitions)).difference(*given.values())
    for worker in takers:
        mine = sorted(free & warm.get(worker, set()))[: room[worker] - len(given[worker])]
        given[worker].update(mine)
        free.difference_update(mine)
    for partition in sorted(free):
        worker = min((one for one in order if len(given[one]) < room[one]), key=lambda one: len(given[one]))
        given[worker].add(partition)
    return given


def standby_of(held: Shares, worker: str, partitions: int) -> set[int]:
    """Return the partitions that `worker` would be given if any one of the others left."""
    after = ({one: held[one] for one in held if one != gone} for gone in held if gone != worker)
    return set[int]().union(*(share_out(left, {}, partitions)[worker] for left in after)) - held[worker]
