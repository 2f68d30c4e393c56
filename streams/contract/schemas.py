"""
JSON Schemas of the public records, checked in beside this file for readers in any language.

`python -m streams.contract.documents` writes them; a test fails when they differ from the models.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import BaseModel

from streams.contract.headers import schema_name
from streams.contract.records import PUBLIC_RECORDS

FOLDER = Path(__file__).parent / "schemas"
EXAMPLES = Path(__file__).parent / "examples" / "records"

COMPONENTS: Final = "#/components/schemas/"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def urn(name: str) -> str:
    """Return the identifier of a published document. It is a name, and leads to no server."""
    return f"urn:routee-callbacks:{name}"


def examples_of(topic: str) -> list[dict[str, Any]]:
    """Return records as the programs wrote them, for readers to look at."""
    records: list[dict[str, Any]] = orjson.loads((EXAMPLES / f"{topic}.json").read_bytes())
    return records


def components_of(models: Iterable[type[BaseModel]]) -> dict[str, Any]:
    """Return the schemas of models as they are written, and of the types in them, by their names in a document."""
    schemas: dict[str, Any] = {}
    for model in models:
        schema = model.model_json_schema(mode="serialization", ref_template=f"{COMPONENTS}{{model}}")
        schemas |= schema.pop("$defs", {}) | {model.__name__: schema}
    return schemas


def reference(model: type[BaseModel]) -> dict[str, str]:
    """Return a reference to the schema of a model in a document."""
    return {"$ref": COMPONENTS + model.__name__}


def schema_json(topic: str) -> bytes:
    """Return the JSON Schema of the records of a topic as written, with its keys in a stable order."""
    schema = PUBLIC_RECORDS[topic].model_json_schema(mode="serialization")
    named = {"$schema": _DIALECT, "$id": urn(schema_name(topic)), "examples": examples_of(topic)}
    return orjson.dumps(schema | named, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
