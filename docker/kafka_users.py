"""
The users of Kafka for compose.secure.yaml: one for each program, with its password and with the rights that it needs.

Can be run any time: passwords and rights are set anew, and nothing is taken away. Rights are for names that begin with
the prefix of the project, so further topics and groups need no further rule.
"""

# ruff: noqa: INP001 - a file of the image, in no package
import os
import sys
from collections.abc import Mapping
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

# User: kind of resource, beginning of its name after the project's prefix, operations.
RIGHTS: Final = {
    "topics": [("TOPIC", "", "CREATE ALTER_CONFIGS DESCRIBE DESCRIBE_CONFIGS")],
    "ingest": [("TOPIC", "callbacks.", "WRITE DESCRIBE DESCRIBE_CONFIGS")],
    "streams": [
        ("TOPIC", "", "READ WRITE DESCRIBE DESCRIBE_CONFIGS"),
        ("GROUP", "streams", "READ DESCRIBE"),
        ("TRANSACTIONAL_ID", "streams:", "WRITE DESCRIBE"),
    ],
    "sinks": [
        ("TOPIC", "", "READ DESCRIBE DESCRIBE_CONFIGS"),
        ("TOPIC", "sinks.", "WRITE"),
        ("GROUP", "sinks", "READ DESCRIBE"),
    ],
}
_PASSWORDS: Final = "/run/secrets/kafka_password_{}"


def credentials(passwords: Mapping[str, str]) -> list[UserScramCredentialUpsertion]:
    """Return what makes each user, or gives it another password."""
    return [
        UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_512, password)
        for user, password in passwords.items()
    ]


def acls(prefix: str) -> list[ACL]:
    """Return every right of every user."""
    return [
        ACL(
            principal=f"User:{user}",
            host="*",
            operation=ACLOperation[operation],
            permission_type=ACLPermissionType.ALLOW,
            resource_pattern=ResourcePattern(ResourceType[kind], prefix + name, ACLResourcePatternType.PREFIXED),
        )
        for user, rights in RIGHTS.items()
        for kind, name, operations in rights
        for operation in operations.split()
    ]


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
