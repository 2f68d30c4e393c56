"""Answers about SMS, while erasures are known that do not hold in the rows yet, and while they are not known."""

from types import SimpleNamespace
from typing import Any, Final

import orjson
import pytest

from streams.domain.erasing import KnownErasures
from streams.read_api.routes import _READER, ReadApi
from streams.readers import LOCAL
from tests.behaviour.sinks.records import at
from tests.builders import sms_callback
from tests.support.erasures import MARKS, erasure
from tests.unit.streams.domain.pipeline import Pipeline

NUMBER: Final = "+306900000001"


class Request(dict[Any, Any]):
    """A request for a key, by a reader who sees all."""

    def __init__(self, key: str) -> None:
        super().__init__({_READER: LOCAL})
        self.match_info = {"key": key}
        self.headers: dict[str, str] = {}
        self.if_none_match = None


@pytest.fixture
def known() -> KnownErasures:
    return KnownErasures(MARKS)


@pytest.fixture
def api(known: KnownErasures) -> ReadApi:
    """Give the answers of a worker that owns one partition."""
    pipeline = Pipeline()
    pipeline.send(sms_callback(message_id="m", sms_id="s", to=NUMBER))
    partition = SimpleNamespace(rows=pipeline.sms_rows[0], knows_erasures=True)
    owned = {0: SimpleNamespace(partition=partition)}
    made = ReadApi.__new__(ReadApi)
    made._app = SimpleNamespace(  # type: ignore[assignment]
        erasures=SimpleNamespace(known=known),
        pulse=SimpleNamespace(check_pause=lambda: None),
        sms=SimpleNamespace(checkpointer=SimpleNamespace(owned=owned)),
        conf=SimpleNamespace(topic_partitions=1),
    )
    return made


async def answers(api: ReadApi) -> list[tuple[int, Any]]:
    """Return status and body of the answers about the SMS, and about its message."""
    found = [await api.sms(Request("s")), await api.message(Request("m"))]  # type: ignore[arg-type]
    return [(one.status, orjson.loads(one.body)) for one in found]  # type: ignore[arg-type]


async def test_an_answer_has_nothing_of_a_number_from_the_moment_on_at_which_the_worker_knows_of_its_erasure(
    api: ReadApi, known: KnownErasures
) -> None:
    assert all(NUMBER in str(body) for _, body in await answers(api))
    known.add(0, erasure(NUMBER, at(1_000_000)))
    (status, sms), (_, message) = await answers(api)
    assert status == 200
    assert [one["recipient"] for one in (sms, *message["sms"])] == [None, None]
    assert not any(text in f"{sms} {message}" for text in (NUMBER, "Hello", "spring"))


async def test_nothing_is_told_of_an_sms_while_it_is_not_known_which_numbers_are_erased(
    api: ReadApi, known: KnownErasures
) -> None:
    known.is_current = False
    assert [status for status, _ in await answers(api)] == [503, 503]
    known.is_current = True
    assert [status for status, _ in await answers(api)] == [200, 200]


async def test_nothing_is_told_of_an_sms_while_a_former_owner_has_read_more_erasures(api: ReadApi) -> None:
    (owned,) = api._app.sms.checkpointer.owned.values()
    partition: Any = owned.partition
    partition.knows_erasures = False
    assert [status for status, _ in await answers(api)] == [503, 503]
    partition.knows_erasures = True
    assert [status for status, _ in await answers(api)] == [200, 200]
