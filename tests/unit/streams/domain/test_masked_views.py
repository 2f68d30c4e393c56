"""Answers without numbers and texts."""

import pytest

from streams.contract.answers import AlarmList, CampaignPage, DeliveryPage, MessageAnswer
from streams.contract.personal import without_numbers
from streams.contract.records import CampaignProgress, DeliveryAlarm, DeliveryWindow, SmsStatus
from streams.domain.alarms.alarm import hanging_alarm
from streams.domain.alarms.hanging import Hang
from streams.domain.masked_views import RULES, masked

ANSWERS = (
    SmsStatus,
    CampaignProgress,
    DeliveryWindow,
    DeliveryAlarm,
    AlarmList,
    CampaignPage,
    DeliveryPage,
    MessageAnswer,
)


def test_every_field_of_an_answer_has_a_rule() -> None:
    """A new field is left out for masked readers until it has a rule: it may tell of a person."""
    assert {field for answer in ANSWERS for field in answer.model_fields} == RULES.keys()


def test_a_list_shows_of_each_campaign_what_its_own_answer_shows() -> None:
    campaign = {"campaign_tracking_id": "c-1", "name": "Call 6900123789", "later": "6900123789"}
    assert masked({"campaigns": [campaign], "next": "x"}) == {"campaigns": [masked(campaign)], "next": "x"}


def test_numbers_texts_and_what_people_wrote_are_not_shown() -> None:
    sms = {
        "sms_key": "6900123789",
        "recipient": "+306900123789",
        "sender": "+30 690 0123-789",
        "message": "Your code is 123456",
        "label": "for Maria",
        "groups": ["patients"],
        "campaign_name": "Reminder of +306900123789",
        "status": "Delivered",
        "price": "0.0432",
        "new_field": "anything",
    }
    assert masked(sms) == {
        "sms_key": "6900123789",
        "recipient": "***789",
        "sender": "***789",
        "message": None,
        "label": None,
        "groups": [],
        "campaign_name": "Reminder of ***789",
        "status": "Delivered",
        "price": "0.0432",
    }
    assert masked({"parts": 1, "sms": [sms]}) == {"parts": 1, "sms": [masked(sms)]}


CAMPAIGN = "0f3c5b1e-1234-4567-8901-23456789abcd"


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        (f"campaign:{CAMPAIGN}", f"campaign:{CAMPAIGN}"),
        ('["GR","Cosmote","306900123789"]', '["GR","Cosmote","***789"]'),
        ('["GR","campaign:306900123789"]', '["GR","campaign:***789"]'),
        ("account", "account"),
    ],
)
def test_an_alarm_is_of_the_same_campaign_for_a_masked_reader(subject: str, shown: str) -> None:
    alarm = {"alarm": f"campaign-hanging:{subject}", "subject": subject}
    assert masked(alarm) == {"alarm": f"campaign-hanging:{shown}", "subject": shown}
    assert masked({"mutes": [{"subject": subject}]}) == {"mutes": [{"subject": shown}]}


def test_the_sentence_of_a_campaigns_alarm_is_the_same_for_a_masked_reader() -> None:
    many = 1_234_567_890
    hang = Hang(30.0, 1, 2, many, many // 4, 0.95, many // 2, (0, 0))
    record = hanging_alarm(CAMPAIGN, hang, 3)
    assert "1,234,567,890 SMS" in record["why"]
    assert "617,283,945 more" in record["why"]
    assert masked(record)["why"] == record["why"]


@pytest.mark.parametrize("kept", [None, "***789", "a" * 64])
def test_a_recipient_that_is_hidden_already_stays_as_it_is(kept: str | None) -> None:
    assert masked({"recipient": kept}) == {"recipient": kept}


def test_a_short_number_shows_no_digit() -> None:
    assert masked({"recipient": "54321"}) == {"recipient": "***"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Shop", "Shop"),
        ("Sale of 29 November, 20 % off", "Sale of 29 November, 20 % off"),
        ("Sale 2026-11-29", "Sale ***129"),
        ("54-321", "54-321"),
        ("00306900123789", "***789"),
        ("(690) 012 3789 or 6900123780", "(***789 or ***780"),
    ],
)
def test_names_are_shown_without_the_numbers_in_them(text: str, shown: str) -> None:
    assert without_numbers(text) == shown
    assert masked({"name": text}) == {"name": shown}
