"""
Kafka's jars as a bill of materials in the form of CycloneDX 1.6, for a scanner of vulnerabilities.

`python -m sandbox.sbom` prints it; `make sbom` checks it against the schema of CycloneDX.
"""

import json
from collections.abc import Iterable
from typing import Any

from sandbox.jars import KAFKA_VERSION, Jar, locked_jars


def bill(jars: Iterable[Jar]) -> dict[str, Any]:
    """Return the bill of these jars, which is the same for the same jars."""
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "kafka", "version": KAFKA_VERSION}},
        "components": [_component(jar) for jar in jars],
    }


def _component(jar: Jar) -> dict[str, Any]:
    group, name, version = jar.coordinates.split(":")
    purl = f"pkg:maven/{group}/{name}@{version}?type=jar"
    return {
        "type": "library",
        "bom-ref": purl,
        "group": group,
        "name": name,
        "version": version,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": jar.sha256}],
    }


if __name__ == "__main__":
    print(json.dumps(bill(locked_jars()), indent=1))  # noqa: T201 - it is the command's result
