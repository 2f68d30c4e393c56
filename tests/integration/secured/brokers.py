"""
A real broker with authentication: by certificate on one listener, by password on another.
"""

import runpy
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from sandbox.kafka import KafkaCluster
from sandbox.ports import LOOPBACK, free_port
from streams.contract.permissions import Permission
from tests.support.markdown import ROOT
from tests.support.wait import eventually

acl_of: Final[Callable[[str, Permission], ACL]] = runpy.run_path(str(ROOT / "docker" / "kafka_users.py"))["acl_of"]
TLS: Final = Path(__file__).parents[1] / "ingest" / "tls"
USER, PASSWORD = "routee", "a-password-of-the-tests"
_PLAIN: Final = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SCRAM: Final = "org.apache.kafka.common.security.scram.ScramLoginModule"


class SecuredKafka(KafkaCluster):
    """One broker; its plain listener is for itself and for adding its users. PLAIN knows `users` from the start."""

    def __init__(
        self, folder: Path, users: Mapping[str, str] | None = None, properties: Mapping[str, str] | None = None
    ) -> None:
        folder.mkdir()
        self._users = users or {USER: PASSWORD}
        self._passwords, self._certificates = free_port(), free_port()
        pem = folder / "broker.pem"
        pem.write_text((TLS / "key.pem").read_text() + (TLS / "cert.pem").read_text())
        self._tls = {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(pem),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(TLS / "cert.pem"),
        }
        super().__init__(folder / "data", free_port(), properties=properties)

    def settings(self, protocol: str) -> dict[str, str]:
        """Return the settings for a listener, without credentials."""
        port = self._certificates if protocol == "SSL" else self._passwords
        return {
            "KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:{port}",
            "KAFKA_SECURITY_PROTOCOL": protocol,
            "KAFKA_SSL_CAFILE": str(TLS / "cert.pem"),
        }

    def by_password(self, user: str, password: str) -> dict[str, str]:
        """Return the settings of one user, who is let in by SCRAM."""
        return self.settings("SASL_SSL") | {
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD": password,
        }

    def add_user(self) -> None:
        """Let the user in by SCRAM; PLAIN knows it from the start."""
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        try:
            for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
                admin.alter_user_scram_credentials([UserScramCredentialUpsertion(USER, mechanism, PASSWORD)])
        finally:
            admin.close()

    def _broker_properties(self, node: int, controllers: Mapping[int, int]) -> dict[str, str]:
        plain = super()._broker_properties(node, controllers)
        more = f",SASL_SSL://{LOOPBACK}:{self._passwords},SSL://{LOOPBACK}:{self._certificates}"
        listener = "listener.name.sasl_ssl"
        users = " ".join(f'user_{user}="{password}"' for user, password in self._users.items())
        return plain | {
            "listeners": plain["listeners"] + more,
            "advertised.listeners": plain["advertised.listeners"] + more,
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            f"{listener}.plain.sasl.jaas.config": f"{_PLAIN} required {users};",
            f"{listener}.scram-sha-256.sasl.jaas.config": f"{_SCRAM} required;",
            f"{listener}.scram-sha-512.sasl.jaas.config": f"{_SCRAM} required;",
            "listener.name.ssl.ssl.client.auth": "required",
            **self._tls,
        }


class GuardedKafka(SecuredKafka):
    """One broker that lets its users do what they are granted, and nothing else; its plain listener allows all."""

    def grant(self, permissions_of: Mapping[str, Collection[Permission]]) -> None:
        """Grant permissions to each user; return when the broker knows."""
        acls = [acl_of(user, one) for user, granted in permissions_of.items() for one in granted]
        every = ACLFilter(
            None,
            None,
            ACLOperation.ANY,
            ACLPermissionType.ANY,
            ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY),
        )
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        try:
            before = len(admin.describe_acls(every)[0])
            assert admin.create_acls(acls)["failed"] == []
            # The controller has them at once, the broker a moment later.
            eventually(lambda: len(admin.describe_acls(every)[0]) == before + len(acls))
        finally:
            admin.close()

    def as_user(self, user: str) -> dict[str, str]:
        """Return the settings of a user."""
        return self.settings("SASL_SSL") | {
            "KAFKA_SASL_MECHANISM": "PLAIN",
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD": self._users[user],
        }

    def _broker_properties(self, node: int, controllers: Mapping[int, int]) -> dict[str, str]:
        return super()._broker_properties(node, controllers) | {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }
