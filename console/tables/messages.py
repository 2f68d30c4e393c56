"""
Questions about messages: by number, id or label, and every change of one.
"""

import re
from typing import Any, Final

from console.tables.clickhouse import Rows, Tables

MOST: Final = 50
_HEAD: Final = 8
"""The characters of an id that are indexed; fewer are no beginning of one."""
_CANDIDATES: Final = 4 * MOST
"""Places of SMS, of which the newest messages are: some have several parts. Revisions that are not merged yet are one."""
_ROWS: Final = 16
"""Rows that an SMS may have before they are merged, in the mean of the newest ones: each status is one."""
_MOST_PARTS: Final = 256
_DIGITS: Final = re.compile(r"\+?[\d\s().\-/\u00a0]{7,24}")
_ID: Final = re.compile(rf"[0-9A-Fa-f-]{{{_HEAD},64}}(#\d{{1,3}})?")
# Indexes lead to few rows, whose places in the order of the table lead to what stands: read with FINAL as a whole, the
# indexes would be of no use. A label may have millions of SMS: a LIMIT of rows ends the reading after the newest ones,
# as LIMIT BY does not.
_OF_SMS: Final = """
    SELECT message_id, any(campaign_tracking_id) AS campaign_tracking_id, any(campaign_name) AS campaign_name,
        any(recipient) AS recipient, any(sender) AS sender, any(country) AS country, any(operator) AS operator,
        min(first_received_at) AS first_seen, max(final_at) AS final_at, argMax(toString(status), (generation, revision)) AS status,
        count() AS seen, max(ifNull(parts, 1)) AS parts, sum(price) AS price, min(is_final) AS is_final,
        argMax(message_status, (generation, ifNull(message_revision, 0))) AS message_status,
        any(detailed_status) AS detailed_status
    FROM
    (
        SELECT * FROM sms_status FINAL
        PREWHERE (first_received_at, sms_key) IN
        (
            SELECT first_received_at, sms_key FROM
            (
                SELECT first_received_at, sms_key FROM sms_status AS s
                WHERE {where} ORDER BY first_received_at DESC LIMIT {rows}
            )
            LIMIT 1 BY first_received_at, sms_key LIMIT {candidates}
        )
        WHERE NOT is_superseded
    ) AS s
    WHERE {where}
    GROUP BY message_id ORDER BY first_seen DESC LIMIT {most}
"""
# As the view `messages` has them. The ids are the order of the table, so PREWHERE may take rows away before FINAL: of 50
# messages, each in a place of its own, the other columns of all rows beside them would be read.
_OF_MESSAGES: Final = """
    SELECT message_id, status AS message_status, is_final, parts, parts_seen AS seen, price
    FROM message_status FINAL PREWHERE {where} WHERE status != ''
"""


class MessageTables:
    """Messages as ClickHouse has them. Every method raises AwayError."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def to_number(self, numbers: list[str]) -> Rows:
        """Return the messages to a number in any of its spellings, the newest first."""
        return await self._found("s.recipient IN {numbers:Array(String)}", {"numbers": numbers})

    async def of_id(self, key: str) -> Rows:
        """Return the messages of a message id, an SMS id or an SMS key, whole or its first eight characters or more."""
        # A message id is the order of its table; its parts, which came at moments of their own, have an index of it.
        spelled = {f"key{place}": one for place, one in enumerate(_cases(key))}
        begins = " OR ".join(f"startsWith(message_id, {{{name}:String}})" for name in spelled)
        newest = f"{_OF_MESSAGES.replace('{where}', begins)} ORDER BY first_received_at DESC LIMIT {MOST}"
        if whole := await self._tables.rows(newest, spelled, 1.0):
            told = {"ids": [row["message_id"] for row in whole]}
            return _joined(await self._of_sms("s.message_id IN {ids:Array(String)}", told, MOST * _MOST_PARTS), whole)
        return await self._found(
            f"lower(left(ifNull(s.sms_id, s.sms_key), {_HEAD})) = {{begins:String}} "
            "AND startsWith(lower(ifNull(s.sms_id, s.sms_key)), {key:String})",
            {"begins": key[:_HEAD].lower(), "key": key.lower()},
        )

    async def labelled(self, label: str) -> Rows:
        """Return the newest messages with a label."""
        return await self._found("s.label = {label:String}", {"label": label})

    async def parts(self, message_id: str) -> Rows:
        """Return the parts of a message as they are now."""
        return await self._tables.rows(
            "SELECT * FROM sms WHERE message_id IN {keys:Array(String)} ORDER BY ifNull(part, 1), sms_key LIMIT 256",
            {"keys": _cases(message_id)},
            1.0,
        )

    async def changes(self, message_id: str) -> Rows:
        """Return every change of the parts of a message, the oldest first."""
        return await self._tables.rows(
            "SELECT * FROM sms_history WHERE message_id IN {keys:Array(String)} "
            "ORDER BY received_at, `offset`, `index`, revision LIMIT 1000",
            {"keys": _cases(message_id)},
            1.0,
        )

    async def count(self) -> int:
        """Return how many SMS are searched, about."""
        rows = await self._tables.rows("SELECT count() AS n FROM sms_status", None, 60.0)
        return int(rows[0]["n"])

    async def _found(self, where: str, parameters: dict[str, Any]) -> Rows:
        """Return the messages of the newest SMS for which a condition holds, each with its state as a whole."""
        found = await self._of_sms(where, parameters)
        ids = [row["message_id"] for row in found]
        if not ids:
            return []
        of_ids = _OF_MESSAGES.replace("{where}", "message_id IN {ids:Array(String)}")
        whole = await self._tables.rows(of_ids, {"ids": ids}, 1.0)
        return _joined(found, whole)

    async def _of_sms(self, where: str, parameters: dict[str, Any], candidates: int = _CANDIDATES) -> Rows:
        asked = _OF_SMS.replace("{where}", where)
        for name, number in (("rows", _ROWS * candidates), ("candidates", candidates), ("most", MOST)):
            asked = asked.replace(f"{{{name}}}", str(number))
        return await self._tables.rows(asked, parameters, 1.0)


def _joined(found: Rows, whole: Rows) -> Rows:
    """Return the messages as their SMS tell them, each with its state as a whole."""
    by_id = {row["message_id"]: row for row in whole}
    return [row | by_id.get(row["message_id"], {}) for row in found]


def _cases(key: str) -> list[str]:
    return [*dict.fromkeys((key, key.lower(), key.upper()))]


def kind_of(asked: str) -> str:
    """Return what a person looks for: a `number`, an `id`, or a `label`."""
    if _DIGITS.fullmatch(asked):
        return "number"
    return "id" if _ID.fullmatch(asked) else "label"


def may_be_id(asked: str) -> bool:
    """Return whether a text has the form of an id, or of its beginning: one of digits only is one of a number, too."""
    return _ID.fullmatch(asked) is not None


def spellings(asked: str) -> list[str]:
    """Return the forms in which a number may be stored: with `+`, as digits, and with `00` for the `+`."""
    digits = re.sub(r"\D", "", asked)
    bare = digits.removeprefix("00")
    return [f"+{bare}", bare, f"00{bare}", f"+{digits}"]
