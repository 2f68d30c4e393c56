"""
People erased while workers and the command are killed again and again.

Nothing of them is left, no count changes, and neither does any cell of others.
"""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from sandbox.kafka import KafkaCluster
from streams.contract.codec import format_time
from streams.contract.erasures import BLANKED
from streams.contract.keys import partition_of
from tests.builders import envelope, sms_callback
from tests.support.erasures import KEY
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.truth import Record
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka

WORDS: Final = ("Queued", "Sent", "Delivered")
CAMPAIGNS: Final = 3
PRICE: Final = Decimal("0.0432")
BEFORE: Final = datetime.now(UTC) - timedelta(hours=1)
LATER: Final = datetime.now(UTC) + timedelta(hours=2)


class World:
    """SMS of many people, some of whom are erased; and how the records must end."""

    def __init__(self, messages: int) -> None:
        self.messages = messages
        self.people = messages // 3
        self.erased = [self.number(person) for person in range(0, self.people, 5)]

    def number(self, message: int) -> str:
        return f"+3069{message % self.people:08d}"

    def is_later(self, message: int) -> bool:
        """Tell whether an SMS came after the erasures: the number may be another person's by then."""
        return message % 11 == 0

    def fields(self, message: int) -> dict[str, Any]:
        """Return what the newest record of an SMS must have."""
        own: dict[str, Any] = {
            "recipient": self.number(message),
            "message": f"text of {message}",
            "label": f"label of {message}",
        }
        if self.number(message) in self.erased and not self.is_later(message):
            own = dict.fromkeys(BLANKED)
        return {**own, "status": WORDS[-1], "price": f"{PRICE:.8f}"}

    def sent(self, partitions: int) -> Iterator[Record]:
        """Yield an envelope for each callback: each word of all SMS, and then the next word."""
        for word in WORDS:
            for number in range(self.messages):
                # An SMS that is later is so in all its callbacks.
                began = LATER if self.is_later(number) else BEFORE
                at = format_time(began + timedelta(seconds=WORDS.index(word)))
                message = f"m-{number}"
                body = sms_callback(
                    word,
                    at,
                    message_id=message,
                    sms_id=f"s-{number}",
                    campaign=f"c-{number % CAMPAIGNS}",
                    to=self.number(number),
                    message=f"text of {number}",
                    label=f"label of {number}",
                )
                received = format_time(began + timedelta(minutes=1))
                yield partition_of(message, partitions), envelope(body, received_at=received)


def erasing(lab: Lab, numbers: Path) -> "subprocess.Popen[bytes]":
    """Start the command as people do."""
    program = Path(sys.executable).with_name("routee-streams")
    return subprocess.Popen(
        [program, "erase", "--from-file", str(numbers)],
        env={"PYTHONPATH": str(Path.cwd()), **lab.environment()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def records(lab: Lab, suffix: str) -> list[dict[str, Any]]:
    return [orjson.loads(value) for _, _, value in lab.read(suffix) if value]


def newest(found: list[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    ordered = sorted(found, key=lambda record: (record["generation"], record["revision"]))
    return {record[key]: record for record in ordered}


def wrong(lab: Lab, world: World) -> list[Any]:
    """Return the SMS and the campaigns whose newest record is not as it must be."""
    found = records(lab, "sms.status")
    contents: dict[Any, dict[str, Any]] = {}
    for record in found:
        of = (record["sms_key"], record["generation"], record["revision"])
        assert contents.setdefault(of, record) == record, "one content for each revision"
    sms = newest(found, "sms_key")
    expected = {f"s-{number}": world.fields(number) for number in range(world.messages)}
    differing: list[Any] = [key for key, one in expected.items() if not one.items() <= sms.get(key, {}).items()]
    differing += sorted(sms.keys() - expected.keys())
    campaigns = newest(records(lab, "campaign.progress"), "campaign_tracking_id")
    for campaign in range(CAMPAIGNS):
        count = len(range(campaign, world.messages, CAMPAIGNS))
        counts = {
            "messages": count,
            "messages_by_status": {WORDS[-1]: count},
            "parts_by_status": {WORDS[-1]: count},
            "price_total": f"{PRICE * count:.8f}",
            "conflicts": 0,
        }
        if not counts.items() <= campaigns.get(f"c-{campaign}", {}).items():
            differing.append((f"c-{campaign}", counts, campaigns.get(f"c-{campaign}")))
    return differing


@pytest.mark.parametrize(
    ("kills", "messages"),
    [
        pytest.param(2, 150, id="2", marks=pytest.mark.timeout(300)),
        pytest.param(20, 3_000, id="20", marks=[pytest.mark.full, pytest.mark.timeout(1_800)]),
    ],
)
def test_workers_and_the_command_killed_again_and_again_leave_nothing_of_the_erased_and_change_nothing_else(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, kills: int, messages: int
) -> None:
    chance = random.Random(7)  # noqa: S311 - moments, not secrets
    world, numbers = World(messages), tmp_path / "numbers"
    numbers.write_text("\n".join(world.erased))
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, ERASURE_KEY=KEY) as lab:
        lab.create_topics()
        traffic = [*world.sent(lab.partitions)]
        half, share = len(traffic) // 2, len(traffic) // 2 // kills + 1
        lab.produce(traffic[:half])
        lab.kill(lab.start_ready(rules="product"))
        for kill in range(kills):
            worker = lab.start(rules="product")
            command = erasing(lab, numbers)
            lab.produce(traffic[half + kill * share : half + (kill + 1) * share])
            if kill % 2:
                eventually(worker.is_ready, 60)
            time.sleep(chance.uniform(0, 2))
            if chance.random() < 0.5:
                command.kill()
            command.communicate()
            lab.kill(worker)
        lab.start(rules="product")
        command = erasing(lab, numbers)
        _, said = command.communicate()
        assert command.returncode == 0, said

        def nothing_is_wrong() -> bool:
            if lab.workers[-1].exit_code is not None:  # it stood still for too long, as workers do under load
                lab.start(rules="product")
            found = wrong(lab, world)
            assert found[:10] == []
            return True

        eventually(nothing_is_wrong, 120, every=0.5)
