"""
Which topic fills which table. A table has the same name in ClickHouse and as a folder of files.
"""

from collections.abc import Mapping
from typing import Final

from streams.contract.topics import (
    CALLBACKS_RAW,
    CALLBACKS_REJECTED,
    CAMPAIGN_PROGRESS,
    DELIVERY_ALARMS,
    DELIVERY_WINDOWS,
    SMS_STATUS,
    Topic,
)

SMS_STATUS_TABLE: Final = "sms_status"
CAMPAIGN_PROGRESS_TABLE: Final = "campaign_progress"
DELIVERY_WINDOWS_TABLE: Final = "delivery_windows"
DELIVERY_ALARMS_TABLE: Final = "delivery_alarms"
REJECTED_CALLBACKS_TABLE: Final = "rejected_callbacks"
RAW_CALLBACKS_TABLE: Final = "raw_callbacks"
"""The archive, of files alone: the records of `callbacks.raw` as they are, with key, headers and timestamp."""

TABLE_OF: Final[dict[Topic, str]] = {
    SMS_STATUS: SMS_STATUS_TABLE,
    CAMPAIGN_PROGRESS: CAMPAIGN_PROGRESS_TABLE,
    DELIVERY_WINDOWS: DELIVERY_WINDOWS_TABLE,
    DELIVERY_ALARMS: DELIVERY_ALARMS_TABLE,
    CALLBACKS_REJECTED: REJECTED_CALLBACKS_TABLE,
}


FILE_TABLE_OF: Final[dict[Topic, str]] = {**TABLE_OF, CALLBACKS_RAW: RAW_CALLBACKS_TABLE}
"""The tables that files can have: `SINKS_TABLES` chooses among them."""


def tables_by_topic(prefix: str, table_of: Mapping[Topic, str] = TABLE_OF) -> dict[str, str]:
    """Return full topic name → table, for every topic that a sink of these tables reads."""
    return {topic.name(prefix): table for topic, table in table_of.items()}
