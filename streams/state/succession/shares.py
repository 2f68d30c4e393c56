"""
How partitions are shared out between workers. Pure.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

Shares = Mapping[str, AbstractSet[int]]
"""Partitions of each worker."""


def share_out(held: Shares, warm: Shares, partitions: int) -> dict[str, set[int]]:
    """
    Return the partitions of each worker: as many as of any other, or one more.

    `held` are those that each worker has by now, no partition twice, none at all of one that joins. As few move as
    possible: each one that does has to be read anew. A worker is given, before others, those of which it has the
    rows (`warm`), as far as they have to move. The same for whoever asks: names of workers decide nothing.
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
    """Return the partitions that a worker would be given if one of the others left, whichever that is."""
    after = ({one: held[one] for one in held if one != gone} for gone in held if gone != worker)
    return set[int]().union(*(share_out(left, {}, partitions)[worker] for left in after)) - held[worker]
