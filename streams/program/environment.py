"""
Where settings are read from, the environment and `.env`, and which names there are none.

All programs share one environment, so each knows the names of all: a name that is a setting of none is a misspelt one.
"""

import re
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Final

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from streams.program.misspelt import meant
from streams.program.secret_files import file_setting

# UTF-8; some editors put a mark before it, which would become part of the first name.
_ENCODING: Final = "utf-8-sig"

SECRET_SETTINGS: Final = frozenset(
    """
    KAFKA_SASL_PASSWORD ERASURE_KEY INGEST_SECRETS STREAMS_HMAC_KEY STREAMS_READ_TOKENS STREAMS_WORKER_TOKEN
    STREAMS_ALARM_WEBHOOK STREAMS_ALARM_WEBHOOK_SECRET
    CLICKHOUSE_PASSWORD CLICKHOUSE_ANALYST_PASSWORD ROUTEE_APPLICATION_SECRET
    CONSOLE_TOKENS CONSOLE_CLICKHOUSE_PASSWORD CONSOLE_READ_TOKEN
    """.split()  # noqa: SIM905 - as below
)
"""The secret settings of every program; each may stand in a file."""

_OTHER_SETTINGS: Final = frozenset(
    """
    KAFKA_BOOTSTRAP_SERVERS KAFKA_SECURITY_PROTOCOL KAFKA_SASL_MECHANISM KAFKA_SASL_USERNAME
    KAFKA_SSL_CAFILE KAFKA_SSL_CERTFILE KAFKA_SSL_KEYFILE KAFKA_TOPIC_PREFIX KAFKA_PARTITIONS KAFKA_REPLICATION_FACTOR
    LOG_LEVEL LOG_FORMAT
    INGEST_HOST INGEST_PORT INGEST_ADMIN_HOST INGEST_ADMIN_PORT
    INGEST_ALLOWED_NETWORKS INGEST_TRUSTED_PROXIES INGEST_MAX_BODY_BYTES
    INGEST_FLUSH_MS INGEST_ACK_TIMEOUT_MS INGEST_MAX_PENDING_BYTES INGEST_MAX_CONNECTIONS INGEST_WORKERS
    INGEST_TLS_CERT INGEST_TLS_KEY INGEST_ACCESS_LOG
    INGEST_OPEN INGEST_MAX_CONNECTIONS_PER_ADDRESS
    ROUTEE_APPLICATION_ID ROUTEE_API_URL ROUTEE_AUTH_URL BACKFILL_REQUESTS_PER_SECOND BACKFILL_GRACE_SECONDS
    BACKFILL_ADMIN_HOST BACKFILL_ADMIN_PORT
    STREAMS_ADMIN_HOST STREAMS_ADMIN_PORT STREAMS_WEB_BIND STREAMS_WEB_PORT STREAMS_WEB_HOST
    STREAMS_INSTANCE_ID STREAMS_DATA_DIR STREAMS_STORE STREAMS_STANDBY
    STREAMS_FLUSH_MS STREAMS_STATE_RETENTION_HOURS STREAMS_EXPIRED_SOURCE STREAMS_PROGRESS_MS STREAMS_DELIVERY_MS
    STREAMS_DELIVERY_CELLS STREAMS_ALARM_THRESHOLDS
    STREAMS_RECIPIENT STREAMS_MESSAGE_TEXT STREAMS_MASK_TEXTS STREAMS_CONFLICTING_FINALS
    SINKS_ADMIN_HOST SINKS_ADMIN_PORT SINKS_BATCH_ROWS SINKS_BATCH_SECONDS SINKS_BATCH_BYTES
    SINKS_MAX_REJECTED_PER_MINUTE SINKS_REFUSED_BODIES SINKS_TABLES SINKS_FILES_ROOT SINKS_FILES_FORMAT
    SINKS_FILES_RETENTION_DAYS
    CLICKHOUSE_RETENTION_DAYS_STATUS CLICKHOUSE_RETENTION_DAYS_HISTORY CLICKHOUSE_RETENTION_DAYS_CAMPAIGNS
    CLICKHOUSE_RETENTION_DAYS_DELIVERY CLICKHOUSE_RETENTION_DAYS_ALARMS CLICKHOUSE_RETENTION_DAYS_REJECTED
    CLICKHOUSE_URL CLICKHOUSE_USER CLICKHOUSE_DATABASE CLICKHOUSE_CLUSTER CLICKHOUSE_SHARDED CLICKHOUSE_TIME_ZONE
    CONSOLE_HOST CONSOLE_PORT CONSOLE_URL CONSOLE_PROXY_HEADER CONSOLE_PROXY_NETWORKS CONSOLE_PROXY_FULL
    CONSOLE_TIME_ZONE CONSOLE_CLICKHOUSE_USER CONSOLE_QUERY_SECONDS CONSOLE_READ_API
    CONSOLE_PROGRAMS CONSOLE_ADMIN_HOST CONSOLE_ADMIN_PORT
    SANDBOX_DIR SANDBOX_KAFKA_PORT SANDBOX_CLICKHOUSE_PORT SANDBOX_KAFKA_BROKERS
    """.split()  # noqa: SIM905 - sixty quoted lines would hide that it is a list of words
)

KNOWN_SETTINGS: Final = _OTHER_SETTINGS | SECRET_SETTINGS | {file_setting(name) for name in SECRET_SETTINGS}
"""Every variable that a program reads as a setting, or as the name of a secret's file."""

COMPOSE_VARIABLES: Final = frozenset(
    {"INGEST_PUBLISHED", "CONSOLE_PUBLISHED", "CLICKHOUSE_PUBLISHED_PORT", "KAFKA_IMAGE", "CLICKHOUSE_IMAGE"}
)
"""Other variables that the `.env` of the Compose files may have: the containers are given that file whole."""

# Too much other software has variables like these, and that begin like these.
_TOO_COMMON: Final = frozenset({"LOG_LEVEL", "LOG_FORMAT"})
_OURS: Final = re.compile(r"(KAFKA|INGEST|BACKFILL|STREAMS|SINKS|CLICKHOUSE|CONSOLE|SANDBOX)_(.+)")
# Kubernetes tells of each service in this form; Kafka's own scripts read the others.
_FOREIGN: Final = re.compile(r"\w+_SERVICE_(HOST|PORT\w*)|\w+_PORT_\w*(TCP|UDP)\w*|KAFKA_(\w+_)?(HOME|OPTS)")
_ADDRESS: Final = re.compile(r"(tcp|udp)://")


def read_env_file(file: Path) -> dict[str, str | None]:
    """Return the variables of a `.env`, none when there is no such file; ValueError is one line that names it."""
    try:
        text = file.read_text(encoding=_ENCODING) if file.is_file() else ""
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not a text in UTF-8") from None
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
    # dotenv leaves out the lines that it cannot parse.
    for binding in parse_stream(StringIO(text)):
        if binding.error:
            whole = binding.original.string  # begins with the empty lines before the one that is meant
            line = binding.original.line + whole[: len(whole) - len(whole.lstrip())].count("\n")
            raise ValueError(f"{file}, line {line}: NAME=value is expected")
    return dotenv_values(stream=StringIO(text))


def unknown_settings(variables: Mapping[str, str | None]) -> Iterator[str]:
    """Yield a line for each variable that looks like a setting and is none, with the one that may be meant."""
    for name in sorted({name.upper() for name in variables} - KNOWN_SETTINGS - COMPOSE_VARIABLES):
        if _is_foreign(name, variables.get(name)):
            continue
        if settings := _meant(name):
            yield f"{name} is no setting: did you mean {' or '.join(settings)}?"
        elif _OURS.fullmatch(name):
            yield f"{name} is no setting of any program"


def _meant(name: str) -> list[str]:
    settings = KNOWN_SETTINGS - _TOO_COMMON
    stem = name.removesuffix(file_setting(""))
    if stem == name:
        return meant(name, settings)
    # Only the settings are near each other: INGEST_PORT_FILE and INGEST_SECRETS_FILE end alike.
    found = [stem] if stem in settings else meant(stem, settings)
    return [file_setting(one) if one in SECRET_SETTINGS else one for one in found]


def _is_foreign(name: str, value: str | None) -> bool:
    return bool(_FOREIGN.fullmatch(name) or (name.endswith("_PORT") and _ADDRESS.match(value or "")))
