"""
The tables of a replay as Parquet: the same records give the same bytes.

Values are those of the records: times and amounts are text as on the topics, lists and objects are JSON.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import itemgetter
from pathlib import Path
from types import UnionType
from typing import Any, Final, NamedTuple, Union, get_args, get_origin

import orjson
import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from streams.contract.records import CampaignProgress, DeliveryWindow, Rejection, SmsStatus
from streams.contract.records import Record as Model
from streams.replay.stages import MESSAGE_FIELDS

_ROWS_AT_ONCE: Final = 5_000
_TYPES: Final[Mapping[Any, pa.DataType]] = {int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
_PLACE: Final = {"partition": pa.int64(), "offset": pa.int64()}


class Table(NamedTuple):
    """A table of a replay."""

    name: str
    key: tuple[str, ...]
    """The columns that tell its rows apart."""
    columns: Mapping[str, pa.DataType]
    is_of_partition: bool
    """Whether each partition has a file of its own: the rows of a key are all in one of them."""

    def path(self, folder: Path, partition: int) -> Path:
        """Return its file, or that of a partition."""
        return folder / self.name / (f"{partition}.parquet" if self.is_of_partition else "all.parquet")


def _columns(model: type[Model]) -> dict[str, pa.DataType]:
    return {name: _type_of(field.annotation) for name, field in model.model_fields.items()}


def _type_of(annotation: Any) -> pa.DataType:  # noqa: ANN401 - a type
    return _TYPES.get(_plain(annotation), pa.string())


def _plain(annotation: Any) -> Any:  # noqa: ANN401 - as above
    """Return a type without its None."""
    if get_origin(annotation) in {Union, UnionType}:
        (annotation,) = (one for one in get_args(annotation) if one is not type(None))
    return annotation


_MODELS: Final = (SmsStatus, CampaignProgress, DeliveryWindow, Rejection)
_CONTAINERS: Final = frozenset(
    name
    for model in _MODELS
    for name, field in model.model_fields.items()
    if get_origin(_plain(field.annotation)) in {list, dict}
)
"""The fields that are lists or objects, in any of these records."""

_SMS_COLUMNS: Final = _columns(SmsStatus)

SMS: Final = Table("sms", ("partition", "sms_key"), _SMS_COLUMNS, is_of_partition=True)
MESSAGES: Final = Table(
    "messages", ("partition", "message_id"), {name: _SMS_COLUMNS[name] for name in MESSAGE_FIELDS}, is_of_partition=True
)
REJECTIONS: Final = Table("rejections", ("partition", "offset", "index"), _columns(Rejection), is_of_partition=True)
CAMPAIGNS: Final = Table(
    "campaigns", ("campaign_tracking_id",), _columns(CampaignProgress) | _PLACE, is_of_partition=False
)
WINDOWS: Final = Table("windows", ("cell",), _columns(DeliveryWindow) | _PLACE, is_of_partition=False)
TABLES: Final = (SMS, MESSAGES, CAMPAIGNS, WINDOWS, REJECTIONS)


def write(table: Table, folder: Path, partition: int, records: Iterable[Mapping[str, Any]]) -> int:
    """Write a file of a table; return the number of its rows."""
    path, rows = table.path(folder, partition), 0
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema(table.columns)
    values = itemgetter(*table.columns)
    with ParquetWriter(path, schema, compression="zstd", store_schema=False) as writer:
        for some in _batches(records):
            told = zip(table.columns.items(), zip(*map(values, some), strict=True), strict=True)
            columns = [pa.array(_cells(name, column), type_) for (name, type_), column in told]
            writer.write_table(pa.table(columns, schema=schema))
            rows += len(some)
    return rows


def _batches(records: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    left = iter(records)
    while some := list(islice(left, _ROWS_AT_ONCE)):
        yield some


def _cells(name: str, values: Sequence[Any]) -> Sequence[Any]:
    """Return the cells of a column: lists and objects as JSON."""
    if name not in _CONTAINERS:
        return values
    return [None if one is None else orjson.dumps(one, option=orjson.OPT_SORT_KEYS).decode() for one in values]
