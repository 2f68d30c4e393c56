"""
The documents of the contract for machines: AsyncAPI, OpenAPI and JSON Schemas, checked in beside this file.

`python -m streams.contract.documents` writes them anew from the models; a test fails when they differ.
"""

from pathlib import Path
from typing import Any

from streams.contract.asyncapi import asyncapi
from streams.contract.openapi import openapi
from streams.contract.records import PUBLIC_RECORDS
from streams.contract.schemas import schema_json

FOLDER = Path(__file__).parent
_PARTITIONS = 8


def checked_in() -> dict[str, bytes]:
    """Return the documents that are installed with the programs, by their path in this folder."""
    return {name: (FOLDER / name).read_bytes() for name in _names()}


def made() -> dict[str, bytes]:
    """Return the documents as the models have them; needs the extra `dev`."""
    schemas = {f"schemas/{topic}.json": schema_json(topic) for topic in PUBLIC_RECORDS}
    return {"asyncapi.yaml": _yaml(asyncapi(_PARTITIONS)), "openapi.yaml": _yaml(openapi()), **schemas}


def write(documents: dict[str, bytes], folder: Path) -> None:
    """Write documents below a folder, which is made when it is not there; raises OSError."""
    for name, document in documents.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(document)


def _names() -> list[str]:
    return ["asyncapi.yaml", "openapi.yaml", *(f"schemas/{topic}.json" for topic in PUBLIC_RECORDS)]


def _yaml(document: dict[str, Any]) -> bytes:
    import yaml  # noqa: PLC0415 - only the people who change the contract need it

    # Everything is written where it stands, without anchors, and a text of several lines as a block.
    dumper: Any = type("Dumper", (yaml.SafeDumper,), {"ignore_aliases": lambda *_: True})

    def text(using: Any, value: str) -> Any:  # noqa: ANN401 - a library without types
        return using.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    dumper.add_representer(str, text)
    written = yaml.dump(document, Dumper=dumper, sort_keys=False, allow_unicode=True, width=120)
    return f"# Written by `make contract` from the models.\n{written}".encode()


if __name__ == "__main__":
    write(made(), FOLDER)
