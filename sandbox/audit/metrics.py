"""
Reading counters from the programs' metrics pages.
"""

from prometheus_client.parser import text_string_to_metric_families

from sandbox.audit.errors import SourceError
from sandbox.audit.http import fetch


def counter(url: str, name: str, label: str | None = None) -> dict[str, int]:
    """Return a counter by the values of one label, or under `""` without one; empty when nothing was counted."""
    try:
        text = fetch(url).decode()
    except OSError as error:
        raise SourceError(f"no metrics at {url}: {error}") from error
    found: dict[str, int] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name:
                value = sample.labels[label] if label else ""
                found[value] = found.get(value, 0) + int(sample.value)
    return found
