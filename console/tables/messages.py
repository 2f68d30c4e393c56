"""
Questions about messages: by number, id or label, and every change of one.
"""

import re
from typing import Any, Final

from console.tables.clickhouse import Rows, Tables

MOST: Final = 50
_DIGITS: Final = re.compile(r"\+?[\d\s().\-/\u00a0]{7,24}")
_ID: Final = re.compile(r"[0-9A-Fa-f-]{8,64}(#\d{1,3})?")
_SHOWN: Final = """
    SELECT message_id, any(campaign_tracking_id) AS campaign_tracking_id, any(campaign_name) AS campaign_name,
        any(recipient) AS recipient, any(sender) AS sender, any(country) AS country, any(operator) AS operator,
        min(first_received_at) AS first_seen, max(final_at) AS final_at, argMax(toString(status), (generation, revision)) AS status,
        count() AS seen, max(ifNull(parts, 1)) AS parts, sum(price) AS price, min(is_final) AS is_final,
        argMax(message_status, (generation, ifNull(message_revision, 0))) AS message_status,
        any(detailed_status) AS detailed_status, sum(conflicts) AS conflicts
    FROM sms AS s
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
        spellings = [*dict.fromkeys((key, key.lower(), key.upper()))]
        whole = await self._found(
            "s.message_id IN {keys:Array(String)} OR s.sms_key IN {keys:Array(String)} OR s.sms_id IN {keys:Array(String)}",
            {"keys": spellings},
        )
        if whole:
            return whole
        return await self._found(
            "startsWith(s.message_id, {key:String}) OR startsWith(s.sms_key, {key:String})", {"key": key}
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
        return await self._tables.rows(
            f"{_SHOWN} WHERE {where} GROUP BY message_id ORDER BY first_seen DESC LIMIT {MOST}", parameters, 1.0
        )


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
