"""
The users of Kafka for compose.secure.yaml: one for each program, with its password and the permissions that it needs.

Can be run any time: passwords and permissions are set anew, and nothing is taken away. Run it at each upgrade: a new
version may have a new topic.
"""

# ruff: noqa: INP001 - a file of the image, in no package
import os
import sys
from collections.abc import Callable, Mapping
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

from streams.contract.permissions import Permission, alter, ingest, sinks, worker

RIGHTS: Final[Mapping[str, Callable[[str], tuple[Permission, ...]]]] = {
    "topics": alter,
    "ingest": ingest,
    "streams": worker,
    "sinks": sinks,
}
"""The permissions of each user, given the prefix of names."""

_PASSWORDS: Final = "/run/secrets/kafka_password_{}"


def credentials(passwords: Mapping[str, str]) -> list[UserScramCredentialUpsertion]:
    """Return what makes each user, or gives it another password."""
    return [
        UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_512, password)
        for user, password in passwords.items()
    ]


def acls(prefix: str) -> list[ACL]:
    """Return every right of every user."""
    return [_acl(user, right) for user, rights_of in RIGHTS.items() for right in rights_of(prefix)]


def _acl(user: str, right: Permission) -> ACL:
    operation, resource, _ = right
    form = ACLResourcePatternType.PREFIXED if resource.is_prefix else ACLResourcePatternType.LITERAL
    return ACL(
        principal=f"User:{user}",
        host="*",
        operation=ACLOperation[operation.name],
        permission_type=ACLPermissionType.ALLOW,
        resource_pattern=ResourcePattern(ResourceType[resource.kind.name], resource.name, form),
    )


def main() -> int:
    """Set passwords and rights."""
    admin: Any = KafkaAdminClient(
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"].split(","),
        security_protocol="SSL",
        ssl_cafile=os.environ["KAFKA_SSL_CAFILE"],
        ssl_certfile=os.environ["KAFKA_SSL_CERTFILE"],
        ssl_keyfile=os.environ["KAFKA_SSL_KEYFILE"],
    )
    passwords = {user: Path(_PASSWORDS.format(user)).read_text(encoding="ascii").strip() for user in RIGHTS}
    answers = admin.alter_user_scram_credentials(credentials(passwords))
    refused = [f"user {user}: {error}" for user, error in answers.items() if error]
    made = admin.create_acls(acls(os.environ.get("KAFKA_TOPIC_PREFIX") or "routee."))
    refused += [str(right) for right in made["failed"]]
    admin.close()
    sys.stdout.write("\n".join(refused or [f"users of Kafka: {', '.join(RIGHTS)}"]) + "\n")
    return int(bool(refused))


if __name__ == "__main__":
    sys.exit(main())
