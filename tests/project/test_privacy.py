"""PRIVACY.md says what the code does: each field of each record, each store, how long, and who reads it."""

import re
from collections import Counter

from sinks.clickhouse.migrations import known_migrations
from sinks.clickhouse.objects import objects_of
from sinks.clickhouse.retention import LIFETIMES
from streams.contract.topics import ALL_TOPICS
from streams.domain.policy import CAMPAIGN_DAYS
from streams.settings import StreamsSettings
from tests.support.markdown import ROOT, code, tables
from tests.support.privacy_document import DOCUMENT, KINDS, fields, written

_LABELS = r"labels=\[([^\]]*)\]|(?:Counter|Gauge|Histogram)\([^()]*?\[([^\]]*)\]"


def test_every_field_of_every_record_is_of_one_kind() -> None:
    named = Counter(name for names in KINDS.values() for name in names.split())
    assert named.keys() == fields()
    assert set(named.values()) == {1}


def test_the_tables_are_those_of_the_code() -> None:
    """`python -m tests.support.privacy_document` writes them anew."""
    text = DOCUMENT.read_text()
    assert text == written(text)


def test_every_topic_has_a_reason_and_every_table_an_end() -> None:
    (reasons,) = [table for table in tables(DOCUMENT) if table.header == ("why", "topics")]
    assert sorted(name for row in reasons.rows for name in code(row[1])) == sorted(it.suffix for it in ALL_TOPICS)
    assert {it.name for it in objects_of(known_migrations()).values() if it.keeps_rows} == LIFETIMES.keys()


def test_metrics_name_nothing_of_people_but_the_subject_of_an_alarm() -> None:
    """Every label of every metric of the programs; a new one has to be looked at."""
    harmless = [
        "cause",
        "kind",
        "level",
        "note",
        "outcome",
        "partition",
        "place",
        "reader",
        "reason",
        "result",
        "source",
        "status",
        "table",
        "topic",
        "verdict",
    ]
    named = {
        label
        for folder in ("ingest", "streams", "sinks", "console")
        for file in (ROOT / folder).rglob("*.py")
        for labels in re.findall(_LABELS, file.read_text())
        for label in re.findall(r'"(\w+)"', "".join(labels))
    }
    assert named.difference(harmless) == {"subject"}
    monitoring = "docker/compose.monitoring.yaml"
    (days,) = re.findall(r"retention\.time=(\d+)d", (ROOT / monitoring).read_text())
    assert f"the Prometheus of `{monitoring}` keeps them for {days} days" in DOCUMENT.read_text()


def test_the_settings_that_withhold_are_named_with_the_hours_of_the_state() -> None:
    text = DOCUMENT.read_text()
    assert {"STREAMS_RECIPIENT", "STREAMS_MESSAGE_TEXT", "STREAMS_MASK_TEXTS"} <= set(re.findall(r"`(\w+)`", text))
    hours = StreamsSettings.model_fields["streams_state_retention_hours"].default
    assert f"{hours} hours after its last callback" in text
    assert f"go {CAMPAIGN_DAYS} days after its last change" in text
