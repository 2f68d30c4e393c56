"""
Which partitions this worker is given, and at which address others find it.
"""

from typing import Any, cast

from faust.assignor.client_assignment import ClientMetadata
from faust.assignor.partition_assignor import PartitionAssignor

from streams.state import internals


class AddressedAssignor(PartitionAssignor):
    """
    Faust's assignor, for static members that come back at another address.

    A static member is handed what the process before it was given, with that one's address in it. Faust takes this
    for impossible, and stops. Here the address is corrected, and the group told by one more round.
    """

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
