"""
Which partitions this worker is given, and at which address others find it.
"""

from collections.abc import MutableMapping
from typing import Any, cast

from faust.assignor.client_assignment import ClientAssignment, ClientMetadata, CopartitionedAssignment
from faust.assignor.copartitioned_assignor import CopartitionedAssignor
from faust.assignor.partition_assignor import PartitionAssignor

from streams.runtime import private_names
from streams.runtime.holdings import held_by
from streams.state.succession.shares import Shares, share_out


class StickyAssignor(CopartitionedAssignor):
    """
    Moves no partition that need not move, and those that must to workers that have their rows.

    Faust takes all but the smallest share from every worker and hands out what is left over in turn: where partitions
    cannot be shared evenly, workers exchange some at each change of the group. Workers that join tell by "standby"
    partitions of which they have the rows; none are assigned: who reads what ahead, each worker knows by itself.
    """

    def get_assignment(self) -> MutableMapping[str, CopartitionedAssignment]:
        """Return the partitions of each worker."""
        self._unassign_overassigned(active=True)
        workers = self._client_assignments
        held = {name: worker.actives for name, worker in workers.items()}
        warm = {name: worker.standbys for name, worker in workers.items()}
        for name, partitions in share_out(held, warm, self.num_partitions).items():
            workers[name].actives, workers[name].standbys = partitions, set()
        return workers


class AddressedAssignor(PartitionAssignor):
    """
    Faust's assignor, with the above, with what is at hand, and for static members that come back at another address.

    A static member is handed what the process before it was given, with that one's address in it. Faust takes this
    for impossible, and stops. Here the address is corrected, and the group told by one more round.
    """

    def _perform_assignment(self, *arguments: Any) -> Any:  # noqa: ANN401 - as Faust has it
        with private_names.assigning_by(StickyAssignor):
            return super()._perform_assignment(*arguments)

    @property
    def _metadata(self) -> ClientMetadata:
        """What is said of this worker whenever it joins."""
        metadata = super()._metadata
        at_hand = sorted(held_by(self.app).standby.at_hand)
        standbys = dict.fromkeys(self.app.tables.changelog_topics, at_hand)
        metadata.assignment = ClientAssignment(actives=metadata.assignment.actives, standbys=standbys)
        return metadata

    def on_assignment(self, assignment: Any) -> None:  # noqa: ANN401 - as aiokafka calls it
        """Take an assignment over."""
        given = cast("ClientMetadata", ClientMetadata.loads(self._decompress(assignment.user_data)))
        former, own = given.url, str(self._url)
        if former != own:
            given.url = own
            for distribution in (given.changelog_distribution, given.external_topic_distribution):
                distribution[own] = distribution.pop(former, {})
            assignment.user_data = self._compress(given.dumps())
            private_names.rejoin_group(self.app)
        super().on_assignment(assignment)
        held_by(self.app).standby.reassign(self._shares(), own)

    def _shares(self) -> Shares:
        """Return the partitions of each worker, by web address: the same ones of all changelogs."""
        return {url: set[int]().union(*topics.values()) for url, topics in self.changelog_distribution.items()}
