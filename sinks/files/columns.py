"""
The columns of the files, typed: the fields of the contract's records, in their order, and where each record lies.

A record that gains a field gains its column here, with the type that `column_type` gives it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

import pyarrow as pa

from sinks.tables import TABLE_OF
from streams.contract.records import PUBLIC_RECORDS

_TYPES: Final[Mapping[type, pa.DataType]] = {
    str: pa.string(),
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    datetime: pa.timestamp("ms", tz="UTC"),
    Decimal: pa.decimal128(18, 8),
}
_CONTAINERS: Final[Mapping[Any, Callable[..., pa.DataType]]] = {list: pa.list_, dict: pa.map_}

POSITION: Final = {"topic_partition": _TYPES[int], "topic_offset": _TYPES[int]}
"""Where the record lies in its topic."""


def column_type(annotation: Any) -> pa.DataType:  # noqa: ANN401 - any annotation of a model
    """Return the type of a field's column, in which every value may be null; TypeError when no rule gives one."""
    kind = _plain(annotation)
    if get_origin(kind) in _CONTAINERS:
        return _CONTAINERS[get_origin(kind)](*map(column_type, get_args(kind)))
    # An enumeration is of the type of its values.
    for base in getattr(kind, "__mro__", ()):
        if base in _TYPES:
            return _TYPES[base]
    raise TypeError(f"no type of a column stands for {annotation}")


def _plain(annotation: Any) -> Any:  # noqa: ANN401 - same
    """Return the annotation without its metadata, and without its None."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
    if get_origin(annotation) in (Union, UnionType) and len(kinds) == 1:
        return _plain(kinds[0])
    return annotation


def _schema(fields: Mapping[str, Any]) -> pa.Schema:
    columns = {name: column_type(field.annotation) for name, field in fields.items()}
    return pa.schema(list({**columns, **POSITION}.items()))


SCHEMAS: Final[dict[str, pa.Schema]] = {
    table: _schema(PUBLIC_RECORDS[topic.suffix].model_fields) for topic, table in TABLE_OF.items()
}
"""Table → its columns."""
