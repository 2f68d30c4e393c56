"""Neither an address nor a record ends the task that tells the webhook."""

from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from streams.domain.alarms.notice import Notice
from streams.runtime.webhook import Webhook


def webhook(url: str) -> Webhook:
    counter = Counter("notices", "Notices", ["result"], registry=CollectorRegistry())
    return Webhook(url, b"key", "alarms", "group", {}, counter)


async def test_a_host_that_can_be_no_name_is_an_attempt_in_vain() -> None:
    async with aiohttp.ClientSession() as session:
        assert not await webhook("https://hooks..example.com/")._is_delivered(session, Notice("alarm_1", b"{}"))


@pytest.mark.parametrize("value", [b"+306900000001", b"[]", b"{}", b"\xff", b"7"])
async def test_a_record_that_is_no_alarm_is_passed_over(value: bytes, caplog: pytest.LogCaptureFixture) -> None:
    absent: Any = None
    record = SimpleNamespace(value=value, offset=41, timestamp=0)
    await webhook("https://hooks.example/")._deliver(absent, absent, record, absent)
    (line,) = [one.getMessage() for one in caplog.records]
    assert "offset 41" in line
    assert "306900000001" not in line
