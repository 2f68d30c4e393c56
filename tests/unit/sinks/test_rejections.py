"""
A rejection that cannot be kept now is kept later.
"""

from pathlib import Path

import pytest

from sinks.errors import RetryableError
from sinks.kafka.rejections import KafkaRejections
from sinks.rejections import rejection_of
from streams.program.settings import CommonSettings
from tests.unit.sinks.records import record


def test_a_certificate_that_is_gone_is_one_line_and_waited_for(tmp_path: Path) -> None:
    """The producer connects when the first row is refused, long after the start."""
    settings = CommonSettings(kafka_security_protocol="SSL", kafka_ssl_cafile=str(tmp_path / "gone.pem"))
    rejection = rejection_of(record(0), "files", "sms_status", "no object")
    with pytest.raises(
        RetryableError,
        match=r"^routee\.sinks\.rejected: KAFKA_SSL_CAFILE=.*gone\.pem: No such file",
    ):
        KafkaRejections(settings).add(rejection)
