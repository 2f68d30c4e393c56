"""
Answers of the read API that are none of streams: each is a source that is away, never an error of the console.
"""

import pytest

from console.errors import UnusableError
from console.read_api.client import ReadApi
from console.settings import ConsoleSettings
from streams.program.settings import load_settings

SMS = b'{"sms_key":"a","message_id":"m","generation":0,"revision":1,"is_final":true,"status":"Sent"}'


def answering(monkeypatch: pytest.MonkeyPatch, body: bytes | None) -> ReadApi:
    async def asked(_: ReadApi, __: str) -> bytes | None:
        return body

    monkeypatch.setattr(ReadApi, "_asked", asked)
    return ReadApi(load_settings(ConsoleSettings, env_file=None))


async def test_a_message_is_given_as_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await answering(monkeypatch, b'{"sms":[' + SMS + b'],"more":1}').message("m")
    assert found is not None
    assert found["sms"][0]["status"] == "Sent"
    assert await answering(monkeypatch, None).message("m") is None


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html>", b"null", b"[]", b"{}", b'"sms"', b'{"sms":null}', b'{"sms":{}}', b'{"sms":[1]}'),
        *(b'{"sms":[{}]}', b'{"sms":[' + SMS.replace(b'"revision":1', b'"revision":"1"') + b"]}", b'{"sms":["\xff"]}'),
        b'{"sms":[' + SMS.replace(b'"sms_key":"a",', b"") + b"]}",
    ],
)
async def test_an_odd_answer_is_one_of_a_source_that_is_away(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    with pytest.raises(UnusableError, match="not as streams does"):
        await answering(monkeypatch, body).message("m")
