"""The watch over partitions that stand still, as it is told."""

from types import SimpleNamespace
from typing import Any

import pytest

from streams import web
from streams.health import StuckWatch


async def test_partitions_that_stand_still_are_an_error_in_the_log_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rounds = iter([[], ["sms[3]"], ["sms[3]"], ["sms[3]", "campaigns[0]"], []])
    server: Any = SimpleNamespace(should_stop=False, _app=None, _watch=StuckWatch(), _stuck=[])

    async def stuck(*_: object) -> list[str]:
        found = next(rounds, None)
        server.should_stop = found is None
        return found or []

    async def sleep(_: float) -> None:
        """Return at once."""

    server.sleep = sleep
    monkeypatch.setattr(web, "stuck_partitions", stuck)
    monkeypatch.setattr(web, "durables", lambda _: {})
    monkeypatch.setattr(web, "lags", lambda _: {})
    await web.WebServer._keep_watch.fun(server)
    assert [line.getMessage() for line in caplog.records if line.levelname == "ERROR"] == [
        "partitions have had records for a minute and do not move: sms[3]",
        "partitions have had records for a minute and do not move: sms[3], campaigns[0]",
    ]
