"""
Messages that the console finds in the real engine: by number, id, the beginning of an id, label; and by which index.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from console.settings import ConsoleSettings
from console.tables.clickhouse import Tables
from console.tables.messages import MOST, MessageTables, spellings
from sinks.cli import run_schema
from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.migrations import known_migrations
from sinks.settings import SinksSettings
from streams.contract.codec import encode
from streams.contract.records import SmsStatus
from streams.program.settings import load_settings
from tests.behaviour.sinks.records import at, final, sms
from tests.integration.sinks.older import apply_until
from tests.support.wait import eventually

pytestmark = [pytest.mark.clickhouse, pytest.mark.timeout(240)]

SEARCH = 18
"""The file with the indexes of the search."""
MESSAGE, SMS_ID = "5b1c9f0a-7c1e-4a3b-9f4c-2f1f0d8f6a11", "a77e0000-7c1e-4a3b-9f4c-2f1f0d8f6a11"
NUMBER = "+306912345678"
FILLING = """
INSERT INTO sms_inbox (sms_key, sms_id, message_id, part, parts, label, recipient, status, revision, message_status,
    message_revision, first_received_at, received_at)
SELECT lower(hex(sipHash128(number))) AS sms_key, sms_key AS sms_id, lower(hex(sipHash128(number, 1))), 1, 1,
    if(number % 2 = 0, 'newsletter', NULL), concat('+3069', leftPad(toString(number), 8, '0')), 'Delivered', 1,
    'Delivered', 1, toDateTime64('2026-11-22 09:00:00', 3, 'UTC') + toIntervalMillisecond(number), now64(3)
FROM numbers(100000) SETTINGS max_block_size = 100000, min_insert_block_size_rows = 100000
"""
CHANGING = f"""
INSERT INTO sms_inbox (sms_key, message_id, recipient, status, revision, first_received_at, received_at)
SELECT if(number = 0, 'old', 'new') AS sms_key, sms_key, '{NUMBER}', 'Sent', number + 1,
    toDateTime64('2026-11-22 09:00:00', 3, 'UTC') + toIntervalMinute(number > 0), now64(3)
FROM numbers({5 * MOST}) SETTINGS optimize_on_insert = 0
"""  # noqa: S608 - words of ours


@pytest.fixture
async def messages(settings: SinksSettings) -> AsyncIterator[MessageTables]:
    told: dict[str, Any] = {
        "clickhouse_url": settings.clickhouse_url,
        "clickhouse_database": settings.clickhouse_database,
        "console_clickhouse_user": settings.clickhouse_user,
        "console_clickhouse_password": settings.clickhouse_password.get_secret_value(),
    }
    asked = Tables(load_settings(ConsoleSettings, env_file=None, **told))
    yield MessageTables(asked)
    await asked.close()


def insert(clickhouse: ClickHouse, *records: SmsStatus) -> None:
    clickhouse.insert_json("sms_inbox", (encode(record) + b"\n" for record in records))


def whole(status: str, seen: int, parts: int = 1) -> dict[str, Any]:
    return {
        "message_status": status,
        "message_is_final": status == "Delivered",
        "message_parts": parts,
        "message_parts_seen": seen,
        "message_revision": seen,
    }


async def test_an_sms_is_found_by_number_id_beginning_and_label(tables: ClickHouse, messages: MessageTables) -> None:
    two: dict[str, Any] = {"message_id": MESSAGE, "recipient": NUMBER, "label": "order 17", "parts": 2}
    insert(
        tables,
        sms(SMS_ID, **two, **whole("Queued", 1, 2)),
        final(SMS_ID[:-1] + "2", "Delivered", **two, part=2, first_received_at=at(1), **whole("Sent", 2, 2)),
        sms("ffffffff-0001#1", sms_id=None, message_id="FFFFFFFF-0001", **whole("Queued", 1)),
        sms("old", message_id="forgotten", recipient=NUMBER, label="order 17", **whole("Queued", 1)),
    )
    insert(tables, sms("old", message_id="forgotten", generation=2, first_received_at=at(9), **whole("Queued", 1)))
    asked = {
        "number": messages.to_number(spellings("0030 691 234 5678")),
        "label": messages.labelled("order 17"),
        "message": messages.of_id(MESSAGE),
        "message in capitals": messages.of_id(MESSAGE.upper()),
        "its beginning": messages.of_id(MESSAGE[:8]),
        "more of it": messages.of_id(MESSAGE[:13].upper()),
        "SMS": messages.of_id(SMS_ID),
        "its beginning, in capitals": messages.of_id(SMS_ID[:8].upper()),
    }
    for name, question in asked.items():
        (found,) = await question
        assert found["message_id"] == MESSAGE, name
        assert (found["message_status"], found["seen"], found["parts"], found["is_final"]) == ("Sent", 2, 2, False), (
            name
        )
    assert [one["message_id"] for one in await messages.of_id("ffffffff-0001#1")] == ["FFFFFFFF-0001"]
    assert [one["message_id"] for one in await messages.of_id("ffffffff")] == ["FFFFFFFF-0001"]
    for nothing in (messages.to_number(["+306900000009"]), messages.labelled("order"), messages.of_id("5b1c9f0b")):
        assert await nothing == []


async def test_a_message_is_told_by_all_its_parts_however_it_is_found(
    tables: ClickHouse, messages: MessageTables
) -> None:
    """The parts came at moments of their own; the reason is that of the part that has one."""
    two: dict[str, Any] = {"message_id": MESSAGE, "recipient": NUMBER, "parts": 2}
    later = {"first_received_at": at(0.3), **whole("Sent", 2, 2)}
    insert(
        tables,
        final(SMS_ID, "Failed", **two, part=1, detailed_status="Blacklisted", **whole("Sent", 2, 2)),
        sms(SMS_ID[:-1] + "2", **two, part=2, **later),
    )
    [by_number] = await messages.to_number([NUMBER])
    assert (by_number["detailed_status"], by_number["seen"], by_number["parts"]) == ("Blacklisted", 2, 2)
    for key in (MESSAGE, MESSAGE[:8]):
        assert await messages.of_id(key) == [by_number]


async def test_changes_that_are_not_merged_yet_hide_no_message(tables: ClickHouse, messages: MessageTables) -> None:
    tables.execute(CHANGING)
    assert tables.value("SELECT count() FROM sms_status") == 5 * MOST  # in one part, which is merged with none
    assert [one["message_id"] for one in await messages.to_number([NUMBER])] == ["new", "old"]


async def test_erased_numbers_and_labels_are_found_no_more(tables: ClickHouse, messages: MessageTables) -> None:
    """By the statement of an erasure: ClickHouse makes the indexes of blanked columns anew."""
    insert(tables, sms(SMS_ID, message_id=MESSAGE, recipient=NUMBER, label="of Maria", **whole("Queued", 1)))
    assert await messages.labelled("of Maria")
    tables.execute(
        "ALTER TABLE sms_status UPDATE recipient = NULL, label = NULL, message = NULL WHERE 1 "
        "SETTINGS mutations_sync = 1"
    )
    sql = "SELECT count() FROM sms_status WHERE label = 'of Maria' SETTINGS force_data_skipping_indices = 'label_bloom'"
    assert tables.value(sql) == 0
    assert await messages.to_number([NUMBER]) == []
    (found,) = await messages.of_id(MESSAGE)
    assert found["recipient"] is None


@pytest.mark.parametrize("is_older", [False, True], ids=["new table", "table with rows of an older version"])
async def test_a_search_reads_a_small_share_of_the_rows(
    empty: ClickHouse,
    settings: SinksSettings,
    messages: MessageTables,
    is_older: bool,  # noqa: FBT001 - a case
) -> None:
    if is_older:
        apply_until(empty, sum(migration.version < SEARCH for migration in known_migrations()))
        empty.execute(FILLING)
    run_schema(settings)
    if not is_older:
        empty.execute(FILLING)
    key = empty.value("SELECT sms_id FROM sms WHERE recipient = '+306900077777'")

    def granules(where: str) -> float:
        """Return the share of the table that the indexes leave to be read."""
        rows = empty.rows(f"EXPLAIN indexes = 1 SELECT first_received_at FROM sms_status WHERE {where}")  # noqa: S608 - words of ours
        told = [line.split(": ")[1].split("/") for (line,) in rows if "Granules: " in line]
        return int(told[-1][0]) / int(told[-1][1]) if told else 1.0

    by_id = f"lower(left(ifNull(sms_id, sms_key), 8)) = '{key[:8]}'"
    # The indexes of rows that were there are made behind the scenes.
    eventually(lambda: granules(by_id) < 0.5 and granules("label = 'nothing'") < 0.5, 60)
    (found,) = await messages.of_id(key[:8])
    assert found["recipient"] == "+306900077777"
    assert len(await messages.labelled("newsletter")) == MOST
