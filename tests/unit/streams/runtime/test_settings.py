"""Settings of streams."""

from base64 import b64encode, urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from streams.program.settings import SettingsError, load_settings, setting_warnings
from streams.settings import StreamsSettings


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clear all settings from the environment."""
    for name in StreamsSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def settings(**given: Any) -> StreamsSettings:  # noqa: ANN401 - of many types
    return load_settings(StreamsSettings, env_file=None, **given)


def test_the_defaults_are_those_of_the_contract() -> None:
    mine = settings()
    assert (mine.streams_web_port, mine.streams_flush_ms, mine.streams_progress_ms) == (6066, 100, 1000)
    assert (mine.streams_store, str(mine.streams_data_dir)) == ("rocksdict", "data/streams")
    assert mine.streams_state_retention_hours == 192
    assert (mine.streams_recipient, mine.streams_message_text) == ("keep", "keep")
    assert mine.streams_conflicting_finals == "latest"


def test_the_group_has_the_prefix_of_the_topics() -> None:
    assert settings(kafka_topic_prefix="mine.").group_id == "mine.streams"


def test_all_problems_are_reported_at_once_each_with_its_variable() -> None:
    with pytest.raises(SettingsError) as error:
        settings(streams_recipient="hmac", streams_flush_ms="soon", streams_state_retention_hours=40)
    lines = str(error.value).splitlines()
    assert [line.partition("=")[0].partition(":")[0] for line in lines] == [
        "STREAMS_FLUSH_MS",
        "STREAMS_STATE_RETENTION_HOURS",
        "STREAMS_HMAC_KEY",
    ]


def test_hmac_works_with_a_key_that_is_never_printed() -> None:
    mine = settings(streams_recipient="hmac", streams_hmac_key="s3cret-s3cret-s3cret")
    assert "s3cret" not in repr(mine)


def test_a_short_key_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError, match=r"^STREAMS_HMAC_KEY: at least 16 characters are needed$"):
        settings(streams_recipient="hmac", streams_hmac_key="s3cret")


def test_every_setting_says_what_changing_it_does() -> None:
    own = [field for name, field in StreamsSettings.model_fields.items() if name.startswith("streams_")]
    assert own
    assert all(field.description for field in own)


RANDOM = sha256(b"32 bytes that look random").digest()


@pytest.mark.parametrize(
    "key", [RANDOM.hex(), b64encode(RANDOM).decode(), urlsafe_b64encode(RANDOM).decode().strip("=")]
)
def test_a_key_of_32_random_bytes_is_taken_without_a_word(key: str) -> None:
    assert list(settings(streams_recipient="hmac", streams_hmac_key=key).warnings()) == []


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("a" * 16, "a key of its form has 8 random bytes at most, 32 are needed"),
        ("correct horse battery staple", "a key of its form has 21 random bytes at most, 32 are needed"),
        (bytes(range(16)).hex(), "a key of its form has 16 random bytes at most, 32 are needed"),
        (bytes(range(31)).hex(), "a key of its form has 31 random bytes at most, 32 are needed"),
        (b64encode(bytes(range(24))).decode(), "a key of its form has 24 random bytes at most, 32 are needed"),
        ("a" * 64, "it has only 1 different characters"),
        ("password" * 8, "it has only 7 different characters"),
    ],
)
@pytest.mark.parametrize("recipient", ["keep", "hmac"])
def test_a_key_that_may_be_guessed_is_a_warning_that_says_how_to_make_a_good_one(
    key: str, reason: str, recipient: str
) -> None:
    (line,) = settings(streams_recipient=recipient, streams_hmac_key=key).warnings()
    assert line.startswith(f"STREAMS_HMAC_KEY: {reason}. ")
    assert "`openssl rand -hex 32`" in line
    assert key not in line


def test_the_warnings_of_all_programs_are_those_of_streams_too() -> None:
    assert len([*settings(kafka_sasl_username="routee").warnings()]) == 1


def test_a_weak_key_is_among_the_warnings_of_each_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    lines = list(setting_warnings(settings(streams_hmac_key="k" * 16)))
    assert any(line.startswith("STREAMS_HMAC_KEY: ") for line in lines)


def test_a_webhook_needs_a_secret_and_both_their_forms_and_neither_is_printed() -> None:
    secret = f"whsec_{'A' * 40}"
    mine = settings(streams_alarm_webhook="https://hooks.example/s3cret", streams_alarm_webhook_secret=secret)
    assert "s3cret" not in repr(mine)
    assert "A" * 40 not in repr(mine)
    assert [one.resource.name for one in mine.more_permissions] == ["routee.delivery.alarms", "routee.streams-webhook"]
    assert settings().more_permissions == ()
    with pytest.raises(SettingsError, match=r"^STREAMS_ALARM_WEBHOOK_SECRET: it is needed with STREAMS_ALARM_WEBHOOK$"):
        settings(streams_alarm_webhook="https://hooks.example/")
    wrong = {"webhook": "hooks.example", "webhook_secret": "s3cret", "thresholds": "25"}
    with pytest.raises(SettingsError) as error:
        settings(**{f"streams_alarm_{name}": text for name, text in wrong.items()})
    lines = str(error.value).splitlines()
    assert [line.partition("=")[0].partition(":")[0] for line in lines] == [
        "STREAMS_ALARM_THRESHOLDS",
        "STREAMS_ALARM_WEBHOOK",
        "STREAMS_ALARM_WEBHOOK_SECRET",
    ]
    assert "s3cret" not in str(error.value)
