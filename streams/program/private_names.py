"""
The private names of kafka-python's admin client that asking for permissions rests on.

Its public way asks for a group in a version of the request in which brokers tell nothing of a group that has had no
member yet, and it has no way to try a transactional id. A test compares `PRIVATE_NAMES` with the installed version.
"""

from typing import Any, Final

from kafka.admin.client import CoordinatorType, KafkaAdminClient
from kafka.errors import NoError, for_code
from kafka.protocol.admin import DescribeGroupsRequest
from kafka.protocol.producer import InitProducerIdRequest

PRIVATE_NAMES: Final = (
    ("kafka.admin.client", "KafkaAdminClient", ("_find_coordinator_id", "_manager")),
    ("kafka.net.manager", "KafkaConnectionManager", ("run", "send")),
)
"""(module, class, attributes that its source must mention)."""

_TELLS_OF_NEW_GROUPS: Final = 5
_TRANSACTION_MS: Final = 60_000
_NONE: Final = -1


def group_operations(admin: KafkaAdminClient, group: str) -> set[int] | None:
    """Return the numbers of the operations on a group, None when the broker does not tell; raises KafkaError."""
    request = DescribeGroupsRequest(
        groups=[group], include_authorized_operations=True, max_version=_TELLS_OF_NEW_GROUPS
    )
    (found,) = _told_by_coordinator(admin, request, group).groups
    _raise(found.error_code)
    numbers: set[int] | None = found.authorized_operations
    return numbers


def begin_producer(admin: KafkaAdminClient, transactional_id: str) -> None:
    """Ask for the next epoch of a transactional id, as an owner does; raises KafkaError."""
    request = InitProducerIdRequest(
        transactional_id=transactional_id,
        transaction_timeout_ms=_TRANSACTION_MS,
        producer_id=_NONE,
        producer_epoch=_NONE,
    )
    _raise(_told_by_coordinator(admin, request, transactional_id, CoordinatorType.TRANSACTION).error_code)


def _told_by_coordinator(admin: KafkaAdminClient, request: Any, *of: Any) -> Any:  # noqa: ANN401 - kafka-python has no types
    """Return the response of the coordinator `of` a group, or of a transactional id with its kind."""

    async def ask() -> Any:  # noqa: ANN401 - as above
        return await admin._manager.send(request, node_id=await admin._find_coordinator_id(*of))  # noqa: SLF001

    return admin._manager.run(ask)  # noqa: SLF001


def _raise(code: int) -> None:
    error = for_code(code)
    if error is not NoError:
        raise error
