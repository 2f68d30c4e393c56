import pytest

from streams.contract.topics import ALL_TOPICS, CALLBACKS_RAW, CAMPAIGN_PARTIALS, PUBLIC_TOPICS, Topic, changelog

DAY_MS = 86_400_000


def test_names_carry_the_prefix() -> None:
    assert CALLBACKS_RAW.name("routee.") == "routee.callbacks.raw"


def test_public_names_never_change() -> None:
    assert [topic.suffix for topic in PUBLIC_TOPICS] == [
        "callbacks.raw", "callbacks.rejected", "sms.status", "campaign.progress", "sinks.rejected",
    ]  # fmt: skip


@pytest.mark.parametrize("topic", [CALLBACKS_RAW, CAMPAIGN_PARTIALS])
def test_source_topics_have_no_holes(topic: Topic) -> None:
    """Compaction would leave gaps in the offsets, and readers take a gap for a lost record."""
    assert topic.config["cleanup.policy"] == "delete"


@pytest.mark.parametrize("topic", [t for t in PUBLIC_TOPICS if t.config["cleanup.policy"] == "compact"])
def test_a_reader_less_than_a_day_behind_sees_every_change(topic: Topic) -> None:
    assert int(topic.config["min.compaction.lag.ms"]) == DAY_MS


def test_changelogs_are_compacted_and_internal() -> None:
    assert changelog("sms").config["cleanup.policy"] == "compact"
    assert not changelog("sms").public


def test_suffixes_are_unique() -> None:
    assert len({topic.suffix for topic in ALL_TOPICS}) == len(ALL_TOPICS)
