"""
The users of Kafka for compose.secure.yaml: one for each program, with its password and the permissions that it needs.

Can be run any time: passwords and permissions are set anew, and nothing is taken away.
"""

# ruff: noqa: INP001 - a file of the image, in no package
import os
import sys
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Final

from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from streams.contract import permissions

# What a person starts in the container `tools`. Several of these commands need the same right.
_BY_HAND: Final = (
    permissions.ingest, permissions.redrive, permissions.mute, permissions.rebuild,
    permissions.erase, permissions.verify, permissions.replay,
)  # fmt: skip
USERS: Final = {
    "topics": permissions.alter,
    "ingest": permissions.ingest,
    "console": permissions.console,
    "backfill": lambda prefix: (*permissions.ingest(prefix), *permissions.backfill(prefix)),
    # Also what STREAMS_ALARM_WEBHOOK needs: it may be set in `.env` at any time.
    "streams": lambda prefix: (*permissions.worker(prefix), *permissions.webhook(prefix)),
    "sinks": permissions.sinks,
    "tools": lambda prefix: tuple(dict.fromkeys(chain.from_iterable(command(prefix) for command in _BY_HAND))),
}
"""Each user by name, and the permissions of its program, given the prefix of names."""

_PASSWORDS: Final = "/run/secrets/kafka_password_{}"


def credentials(passwords: Mapping[str, str]) -> list[UserScramCredentialUpsertion]:
    """Return what makes each user, or gives it another password."""
    return [
        UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_512, password)
        for user, password in passwords.items()
    ]


def acls(prefix: str) -> list[ACL]:
    """Return the permissions of every user as Kafka takes them."""
    return [
        acl_of(user, needed)
        for user, permissions_of in USERS.items()
        for needed in permissions_of(prefix)
        if needed.need not in {permissions.Need.OLD_BROKERS, permissions.Need.ARCHIVE}
    ]


def acl_of(user: str, permission: permissions.Permission) -> ACL:
    """Return a permission of a user as Kafka takes it."""
    operation, resource, _ = permission
    kind = ACLResourcePatternType.PREFIXED if resource.is_prefix else ACLResourcePatternType.LITERAL
    pattern = ResourcePattern(ResourceType[resource.kind.name], resource.name, kind)
    return ACL(f"User:{user}", "*", ACLOperation(operation), ACLPermissionType.ALLOW, pattern)


def main() -> int:
    """Set passwords and permissions."""
    admin: Any = KafkaAdminClient(
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"].split(","),
        security_protocol="SSL",
        ssl_cafile=os.environ["KAFKA_SSL_CAFILE"],
        ssl_certfile=os.environ["KAFKA_SSL_CERTFILE"],
        ssl_keyfile=os.environ["KAFKA_SSL_KEYFILE"],
    )
    passwords = {user: Path(_PASSWORDS.format(user)).read_text(encoding="ascii").strip() for user in USERS}
    answers = admin.alter_user_scram_credentials(credentials(passwords))
    refused = [f"user {user}: {error}" for user, error in answers.items() if error]
    made = admin.create_acls(acls(os.environ.get("KAFKA_TOPIC_PREFIX") or "routee."))
    refused += [str(acl) for acl in made["failed"]]
    admin.close()
    sys.stdout.write("\n".join(refused or [f"users of Kafka: {', '.join(USERS)}"]) + "\n")
    return int(bool(refused))


if __name__ == "__main__":
    sys.exit(main())
