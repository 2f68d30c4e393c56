"""The sampled line per request."""

import logging
from typing import Any

import pytest

from tests.integration.ingest.wire import SECRET, post, serving
from tests.support.wait import eventually_async


def lines_in(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if record.name == "ingest.http.access_log"]


async def test_every_request_has_its_line_when_all_are_wanted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="ingest.http.access_log")
    async with serving(ingest_access_log=1.0) as server:
        wire = await server.talk(post(b'{"messageId":"a"}') + post(b"hello") + post(path="/callbacks/wrong"))
        assert await wire.statuses(3) == [200, 200, 404]
    await eventually_async(lambda: len(lines_in(caplog)) == 3)
    lines = lines_in(caplog)
    assert sorted(line["status"] for line in lines) == [200, 200, 404]
    assert {line["peer"] for line in lines} == {"127.0.0.1"}
    assert SECRET not in str(lines)
    assert "hello" not in str(lines)


async def test_a_failed_callback_is_a_503_in_its_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="ingest.http.access_log")
    async with serving(ingest_access_log=1.0) as server:
        server.log.failing = True
        wire = await server.talk(post())
        assert (await wire.reply()).status == 503
    (line,) = lines_in(caplog)
    assert line["status"] == 503


async def test_there_are_no_lines_by_default(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving() as server:
        wire = await server.talk(post() + post(b"hello") + post(fields="Expect: tea\r\n"))
        assert await wire.statuses(3) == [200, 200, 417]
    assert not [record for record in caplog.records if record.name.startswith("ingest")]
