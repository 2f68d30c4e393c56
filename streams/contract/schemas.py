"""
JSON Schemas of the public records, checked in beside this file for readers in any language.

`python -m streams.contract.schemas` writes them; a test fails when they differ from the models.
"""

from pathlib import Path

import orjson

from streams.contract.records import PUBLIC_RECORDS, Record

FOLDER = Path(__file__).parent / "schemas"


def schema_json(record: type[Record]) -> bytes:
    """Return the JSON Schema of one record as written, with its keys in a stable order."""
    schema = record.model_json_schema(mode="serialization")
    return orjson.dumps(schema, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


def write_schemas() -> None:
    """Write one file per public topic: `schemas/sms.status.json` and so on."""
    FOLDER.mkdir(exist_ok=True)
    for topic, record in PUBLIC_RECORDS.items():
        (FOLDER / f"{topic}.json").write_bytes(schema_json(record))


if __name__ == "__main__":
    write_schemas()
