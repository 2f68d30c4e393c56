"""
Every sample over HTTP, through all three programs, to rows in ClickHouse and in files.
"""

from pathlib import Path
from typing import Any

import pyarrow.dataset
import pytest

from sandbox.audit.clickhouse import ClickHouse
from sandbox.stack import Sandbox
from tests.e2e.posting import post, sample
from tests.support.wait import eventually

CAMPAIGN = "c0ffee0e-0000-4000-8000-000000000001"
GARBLED = "c0ffee0e-0000-4000-8000-000000000002"
MESSAGE = "5b1c9f0e-0000-4000-8000-000000000001"
PART_1, PART_2 = f"{MESSAGE[:-2]}a1", f"{MESSAGE[:-2]}a2"
SINGLE = "5b1c9f0e-0000-4000-8000-0000000000b1"
LEGACY = "9571ef84-6e34-4601-ba3c-7a5748bc8e7f#1"
KINDS = ("inbound SMS", "two-step verification", "Viber message")

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def posted(sandbox: Sandbox) -> None:
    """Post all samples, and see every one accepted."""
    for name in (
        "case1-running",
        "case2-delivered",
        "case2-undelivered-expired",
        "case3-single",
        "case1-finished",
        "case1-garbled",
        "sms-2016-queued",
        "sms-2016-sent",
        "failover-2019-sms-element",
        "other-inbound",
        "other-two-step",
        "other-viber",
    ):
        assert post(sandbox.addresses.callback_url, sample(name)) == 200, name


def row(database: ClickHouse, view: str, condition: str) -> dict[str, Any]:
    """Return the only row of a view for which the condition holds, once there is one."""
    sql = f"SELECT * FROM {view} WHERE {condition}"  # noqa: S608 - our own words
    (found,) = eventually(lambda: list(database.rows(sql)), 60)
    return found


@pytest.mark.usefixtures("posted")
def test_a_campaign_s_sms_is_a_row_with_all_its_fields(database: ClickHouse) -> None:
    """Case 2: the columns are the fields of the callback under the contract's names."""
    found = row(database, "sms", f"sms_key = '{PART_1}'")
    expected = {
        "message_id": MESSAGE,
        "sms_id": PART_1,
        "campaign_tracking_id": CAMPAIGN,
        "campaign_name": "Spring sale",
        "part": 1,
        "parts": 2,
        "label": "spring",
        "recipient": "+306900000001",
        "sender": "Shop",
        "country": "GR",
        "operator": "Cosmote",
        "groups": ["vip"],
        "status": "Delivered",
        "is_final": True,
        "detailed_status": "Delivered",
        "status_description": "Delivered to the handset.",
        "message": "Γειά σου 👋",
        "application_name": "default",
        "latency_seconds": 3,
        "price": "0.0432",
        "direction": "Outbound",
        "originating_service": "Sms",
        "revision": 1,
        "conflicts": 0,
    }
    assert {name: found[name] for name in expected} == expected
    assert found["status_updated_at"].endswith("T09:16:54.500Z")


@pytest.mark.usefixtures("posted")
def test_parts_become_a_message(database: ClickHouse) -> None:
    """A message with a delivered and an undelivered part is undelivered, and costs both."""
    found = row(database, "messages", f"message_id = '{MESSAGE}' AND parts_seen = 2")
    assert (found["status"], found["is_final"], found["price"]) == ("Undelivered", True, "0.0864")


@pytest.mark.usefixtures("posted")
def test_a_single_sms_has_no_campaign(database: ClickHouse) -> None:
    """Case 3: told apart by the missing campaign id alone."""
    found = row(database, "sms", f"sms_key = '{SINGLE}'")
    assert (found["campaign_tracking_id"], found["campaign_name"], found["status"]) == (None, None, "Delivered")


@pytest.mark.usefixtures("posted")
def test_the_shape_of_2016_is_known_by_message_and_part(database: ClickHouse) -> None:
    """Without smsId the key is `messageId#1`."""
    found = row(database, "sms", f"sms_key = '{LEGACY}'")
    assert (found["status"], found["sms_id"], found["part"], found["price"]) == ("Queued", None, None, "0.006")


@pytest.mark.usefixtures("posted")
def test_a_campaign_shows_routee_s_numbers_beside_the_derived(database: ClickHouse) -> None:
    """Case 1 of both strategies: the newest report, the derived counts, and how they stand to each other."""
    whole = (
        f"campaign_tracking_id = '{CAMPAIGN}' AND campaign_status = 'Finished' AND parts_by_status['Undelivered'] = 1"
    )
    found = row(database, "campaigns", f"{whole} AND parts = 2")
    assert found["messages"] == 1
    assert found["strategy"] == "OnCompletion"
    assert found["total_recipients"] == 100
    assert found["reported_by_status"] == {"Delivered": 90, "Undelivered": 8, "Failed": 2}
    assert found["messages_by_status"] == {"Undelivered": 1}
    assert found["parts_by_status"] == {"Delivered": 1, "Undelivered": 1}
    assert found["price_total"] == "0.0864"
    assert found["reconciliation"] == "behind"


@pytest.mark.usefixtures("posted")
def test_the_garbled_report_is_understood(database: ClickHouse) -> None:
    """Counts that stand beside an empty `messageStatuses` are taken, numbers as text too."""
    found = row(database, "campaigns", f"campaign_tracking_id = '{GARBLED}'")
    assert found["reported_by_status"] == {"Delivered": 38, "Queued": 62}
    assert (found["total_recipients"], found["reconciliation"]) == (100, "underived")


@pytest.mark.usefixtures("posted")
def test_other_kinds_are_kept_with_their_name(database: ClickHouse) -> None:
    """A callback of another service of Routee is refused, and the service is named."""
    sql = "SELECT DISTINCT detail FROM rejected_callbacks WHERE reason = 'unknown-shape'"
    eventually(lambda: {found["detail"] for found in database.rows(sql)} >= set(KINDS), 60)


@pytest.mark.usefixtures("posted")
def test_the_same_rows_are_in_files(sandbox: Sandbox) -> None:
    """The files sink has every record, in Parquet that any reader opens as one table."""

    def keys() -> set[str]:
        files = sorted(Path(sandbox.addresses.files).glob("sms_status/date=*/*.parquet"))
        if not files:
            return set()
        return set(pyarrow.dataset.dataset(files).to_table(columns=["sms_key"])["sms_key"].to_pylist())

    eventually(lambda: keys() >= {PART_1, PART_2, SINGLE, LEGACY}, 60)


@pytest.mark.usefixtures("posted")
def test_the_secret_in_a_report_is_not_stored(sandbox: Sandbox, database: ClickHouse) -> None:
    """`callbackInfo.url` echoes the callback URL: it is stored without the secret."""
    secret = sandbox.settings.ingest_secrets.get_secret_value()
    body = sample("case1-finished").replace(
        b"https://sms.example.com/callbacks/s3cret", sandbox.addresses.callback_url.encode()
    )
    body = body.replace(CAMPAIGN.encode(), b"c0ffee0e-0000-4000-8000-00000000000e")
    assert post(sandbox.addresses.callback_url, body) == 200
    row(database, "campaigns", "campaign_tracking_id = 'c0ffee0e-0000-4000-8000-00000000000e'")
    kafka_data = sandbox.settings.sandbox_dir / "kafka"
    stored = [file for file in kafka_data.rglob("*.log") if secret.encode() in file.read_bytes()]
    assert not stored
