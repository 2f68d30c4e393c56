"""
The notice for the webhook: when there is one, that a repetition has the same id, and that it can be verified.
"""

import base64
import re
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

import streams
from streams.domain.alarms.notice import Notice, notice_of, pause_after, secret_bytes, signed_headers
from tests.unit.streams.domain.alarms.feed import example_alarms

SECRET = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
OPENED, CLOSED = ({**one, "revision": 7 + at, "generation": 0} for at, one in enumerate(example_alarms()))
Verify = Callable[[dict[str, str], bytes, str, float], bool]


def verify_of_the_readme() -> Verify:
    """Return the function that the README gives to receivers."""
    readme = (Path(streams.__file__).parent / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?def verified.*?)```", readme, re.DOTALL)
    named: dict[str, Verify] = {}
    exec(code, named)  # noqa: S102 - our own document
    return named["verified"]


def notice(record: dict[str, object]) -> Notice:
    found = notice_of(record)
    assert found is not None
    return found


def test_an_opening_and_a_closing_are_told_with_the_whole_record() -> None:
    for record, kind, at in ((OPENED, "alarm.opened", "opened_at"), (CLOSED, "alarm.closed", "closed_at")):
        assert orjson.loads(notice(record).body) == {"type": kind, "timestamp": record[at], "data": record}


@pytest.mark.parametrize("fields", [{"level": "suspected"}, {"muted_until": "2024-10-05T04:50:00.000Z"}])
def test_neither_a_suspicion_nor_a_muted_alarm_is_told(fields: dict[str, str]) -> None:
    assert notice_of(OPENED | fields) is None


def test_the_same_record_has_the_same_id_and_every_other_one_another() -> None:
    others = [
        OPENED | {name: value} for name, value in (("alarm", "silence:account"), ("revision", 9), ("generation", 1))
    ]
    ids = [notice(record).id for record in (OPENED, CLOSED, *others)]
    assert len({*ids}) == len(ids)
    assert notice(dict(OPENED)).id == ids[0]


def test_a_receiver_verifies_the_signature_with_the_code_of_the_readme() -> None:
    verified, key = verify_of_the_readme(), secret_bytes(SECRET)
    told = notice(OPENED)
    headers = signed_headers(told, key, 1_000)
    assert verified(headers, told.body, SECRET, 1_000 + 299)
    assert not verified(headers, told.body, SECRET, 1_000 + 301)
    assert not verified(headers, told.body + b" ", SECRET, 1_000)
    assert not verified(headers | {"webhook-timestamp": "1001"}, told.body, SECRET, 1_000)
    assert not verified(headers | {"webhook-id": "alarm_0"}, told.body, SECRET, 1_000)
    assert not verified(headers, told.body, f"whsec_{base64.b64encode(bytes(32)).decode()}", 1_000)


def test_the_signature_is_that_of_the_example_of_standard_webhooks() -> None:
    """The example of its specification."""
    key = secret_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    told = Notice("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}')
    assert (
        signed_headers(told, key, 1614265330)["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


@pytest.mark.parametrize(
    "text", ["whsec_", "whsec_short", SECRET[6:], "whsec_" + "x" * 40 + "!", f"whsec_{'A' * 200}", "ä"]
)
def test_a_secret_of_another_form_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="openssl rand -base64 32") as refused:
        secret_bytes(text)
    assert text.removeprefix("whsec_") not in str(refused.value) or text == "whsec_"


def test_pauses_grow_up_to_five_minutes() -> None:
    assert [pause_after(attempts) for attempts in (1, 2, 3, 9, 10, 1_000)] == [1, 2, 4, 256, 300, 300]
