"""
Which partitions this worker is given, and at which address others find it.
"""

from collections.abc import MutableMapping
from typing import Any, cast

from faust.assignor.client_assignment import ClientMetadata, CopartitionedAssignment
from faust.assignor.copartitioned_assignor import CopartitionedAssignor
from faust.assignor.partition_assignor import PartitionAssignor

from streams.state import internals


class StickyAssignor(CopartitionedAssignor):
    """
    Moves no partition that need not move: each one that does has to be read anew, and its worker waits for that.

    Faust takes all but the smallest share from every worker and hands out what is left over in turn: where partitions
    cannot be shared evenly, workers exchange some at each change of the group.
    """

    def get_assignment(self) -> MutableMapping[str, CopartitionedAssignment]:
        """Return the partitions of each worker: as many as of any other, or one more."""
        self._unassign_overassigned(active=True)
        workers = sorted(self._client_assignments.values(), key=_share, reverse=True)
        more = self.num_partitions % len(workers)
        for place, worker in enumerate(workers):
            worker.unassign_extras(self.max_capacity if place < more else self.min_capacity, self.replicas)
        for partition in self._get_unassigned(active=True):
            min(workers, key=_share).assign_partition(partition, active=True)
        return self._client_assignments


def _share(worker: CopartitionedAssignment) -> int:
    return len(worker.actives)


class AddressedAssignor(PartitionAssignor):
    """
    Faust's assignor, with the above, and for static members that come back at another address.

    A static member is handed what the process before it was given, with that one's address in it. Faust takes this
    for impossible, and stops. Here the address is corrected, and the group told by one more round.
    """

    def _perform_assignment(self, *arguments: Any) -> Any:  # noqa: ANN401 - as Faust has it
        with internals.assigning_by(StickyAssignor):
            return super()._perform_assignment(*arguments)

    def on_assignment(self, assignment: Any) -> None:  # noqa: ANN401 - as aiokafka calls it
        """Take an assignment over."""
        given = cast("ClientMetadata", ClientMetadata.loads(self._decompress(assignment.user_data)))
        former, own = given.url, str(self._url)
        if former != own:
            given.url = own
            for distribution in (given.changelog_distribution, given.external_topic_distribution):
                distribution[own] = distribution.pop(former, {})
            assignment.user_data = self._compress(given.dumps())
            internals.rejoin_group(self.app)
        super().on_assignment(assignment)
