"""
The operations that Kafka allows this user on groups, transactional ids and the cluster, through kafka-python.
"""

import time
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Final

from kafka import KafkaAdminClient
from kafka.errors import AuthorizationError, KafkaError
from kafka.protocol.api_key import ApiKey

from streams.contract.permissions import CLUSTER, Kind, Operation, Permission, Resource
from streams.program import private_names
from streams.program.found_topics import ToldTopics, operations_named
from streams.program.kafka_problems import Told

_PATIENCE_SECONDS: Final = 5.0
"""How long a coordinator may take. A Kafka that never had a group makes its topics for groups first."""

_ASK_AGAIN_SECONDS: Final = 0.1
_TRIED: Final = "check"
"""Ends the transactional id that is tried. No worker's id ends so: those name a changelog and a partition."""


def told_permissions(admin: KafkaAdminClient, permissions: Iterable[Permission], topics: ToldTopics) -> Told:
    """
    Return the operations on each resource of the permissions that was asked for; raises KafkaError.

    Of the topics, the given ones. A transactional id is tried: an id of our own gets its next epoch. The permission to
    write idempotently is asked for with old brokers only: newer ones do not want it.
    """
    permissions = tuple(permissions)
    told = {Resource(Kind.TOPIC, name): allowed for name, allowed in topics.allowed.items()}
    for resource in dict.fromkeys(one.resource for one in permissions):
        if resource.kind is Kind.GROUP:
            told[resource] = _patiently(partial(_of_group, admin, resource.name))
        elif resource.kind is Kind.TRANSACTIONAL_ID:
            told[resource] = _patiently(partial(_of_transactions, admin, resource.name))
        elif resource == CLUSTER and ApiKey.DescribeCluster not in admin.api_versions():
            told[resource] = _of_cluster(admin)
    if any(one.operation is Operation.CREATE for one in permissions) and Operation.CREATE in (_of_cluster(admin) or ()):
        told |= {topic: allowed | {Operation.CREATE} for topic, allowed in told.items() if allowed}
    return told


def _of_group(admin: KafkaAdminClient, group: str) -> AbstractSet[Operation] | None:
    numbers = private_names.group_operations(admin, group)
    return None if numbers is None else {operation for operation in Operation if operation in numbers}


def _of_transactions(admin: KafkaAdminClient, prefix: str) -> AbstractSet[Operation]:
    private_names.begin_producer(admin, prefix + _TRIED)
    return {Operation.WRITE}


def _of_cluster(admin: KafkaAdminClient) -> AbstractSet[Operation] | None:
    return operations_named(admin.describe_cluster()["authorized_operations"])


def _patiently(ask: Callable[[], AbstractSet[Operation] | None]) -> AbstractSet[Operation] | None:
    """Return the answer; no operations when Kafka refuses to tell, None when it cannot tell within seconds."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return ask()
        except AuthorizationError:
            return frozenset()
        except KafkaError as error:
            if not error.retriable or time.monotonic() > deadline:
                return None
        time.sleep(_ASK_AGAIN_SECONDS)
