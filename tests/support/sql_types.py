"""
Which types of ClickHouse can hold which fields of the contract's records.
"""

import re
from typing import Final

import pyarrow as pa

from sinks.files.columns import column_type
from sinks.tables import TABLE_OF
from streams.contract.records import PUBLIC_RECORDS, Record

MODEL_OF: Final[dict[str, type[Record]]] = {table: PUBLIC_RECORDS[topic.suffix] for topic, table in TABLE_OF.items()}
"""Table → the record that fills it."""

# ClickHouse has no Nullable(Map): without a report the map is empty, and `reconciliation` says so.
_NULL_IS_EMPTY: Final = {("campaign_progress", "reported_by_status")}

_INTEGER: Final = r"U?Int(?:32|64)"
_SQL_OF: Final = {
    pa.string(): r"String",
    pa.bool_(): r"Bool",
    pa.int64(): _INTEGER,
    pa.float64(): r"Float64",
    pa.timestamp("ms", tz="UTC"): r"DateTime64\(3, 'UTC'\)",
    pa.decimal128(18, 8): r"Decimal\(18, 8\)",
    pa.list_(pa.string()): r"Array\(String\)",
    pa.list_(pa.list_(pa.string())): r"Array\(Array\(String\)\)",
    pa.map_(pa.string(), pa.int64()): rf"Map\(String, {_INTEGER}\)",
    pa.map_(pa.string(), pa.float64()): r"Map\(String, Float64\)",
}


def fits(table: str, field: str, sql_type: str) -> bool:
    """Return whether a column of that type holds every value of the field; LowCardinality is left to the table."""
    info = MODEL_OF[table].model_fields[field]
    plain = re.sub(r"LowCardinality\((String|Nullable\(String\))\)", r"\1", sql_type)
    expected = _SQL_OF[column_type(info.annotation)]
    may_be_null = type(None) in getattr(info.annotation, "__args__", ())
    if may_be_null and (table, field) not in _NULL_IS_EMPTY:
        expected = rf"Nullable\({expected}\)"
    return re.fullmatch(expected, plain) is not None
