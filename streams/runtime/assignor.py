"""
The assignor: the partitions of each worker, and the address at which other workers reach it.
"""

from collections.abc import MutableMapping
from typing import Any, Final, cast

from faust.assignor.client_assignment import ClientAssignment, ClientMetadata, CopartitionedAssignment
from faust.assignor.copartitioned_assignor import CopartitionedAssignor
from faust.assignor.partition_assignor import PartitionAssignor

from streams.runtime import private_names
from streams.runtime.holdings import held_by
from streams.state.succession.shares import Shares, share_out

PROTOCOL: Final = "routee-streams-cells"
"""
Kafka gives a group no member that knows none of the protocols of the others. So workers never share a group with those
of 0.1.0, whose protocol has another name: these know no cells of deliveries, and would change SMS in them unnoticed. A
version that must not run beside the one before it changes this name.
"""


class StickyAssignor(CopartitionedAssignor):
    """
    Moves as few partitions as possible, first to workers that have their rows.

    Faust leaves every worker the smallest share and hands out the remaining partitions in turn: when the shares are
    uneven, workers exchange partitions at each rebalance. A joining worker names the partitions whose rows it has as
    Faust's "standbys". No standbys are assigned: each worker computes its own standby partitions.
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
    Faust's assignor with `StickyAssignor`, partitions at hand, and static members that return at another address.

    A restarted static member receives the assignment of its former process, which has that process's address. Faust
    takes this for impossible and stops. Here the address is corrected, and one more rebalance tells the group.
    """

    @property
    def name(self) -> str:
        """The protocol of the group."""
        return PROTOCOL

    def _perform_assignment(self, *arguments: Any) -> Any:  # noqa: ANN401 - as Faust has it
        with private_names.assigning_by(StickyAssignor):
            return super()._perform_assignment(*arguments)

    @property
    def _metadata(self) -> ClientMetadata:
        """The metadata that this worker joins the group with."""
        metadata = super()._metadata
        at_hand = sorted(held_by(self.app).standby.at_hand)
        standbys = dict.fromkeys(self.app.tables.changelog_topics, at_hand)
        metadata.assignment = ClientAssignment(actives=metadata.assignment.actives, standbys=standbys)
        return metadata

    def on_assignment(self, assignment: Any) -> None:  # noqa: ANN401 - as aiokafka calls it
        """Correct our address in the assignment, let Faust apply it, and choose the standby partitions."""
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
        """Return the partitions of each worker, by web address; they are the same for all changelogs."""
        return {url: set[int]().union(*topics.values()) for url, topics in self.changelog_distribution.items()}
