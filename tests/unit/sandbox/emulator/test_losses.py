"""
The callbacks that never come: a share of all, the same for the same seed, and all of an outage.
"""

from sandbox.emulator.losses import Losses
from sandbox.emulator.traffic.model import Malformed, StatusCallback
from sandbox.emulator.traffic.options import TrafficOptions
from sandbox.emulator.traffic.schedule import schedule

START = 1_795_000_000
TRAFFIC = TrafficOptions(5, "http://routee.example/x", campaigns=1, recipients=300, singles=50, malformed=0.05)


def lost(losses: Losses) -> list[int]:
    return [callback.number for callback in schedule(TRAFFIC, START) if losses(callback)]


def test_a_share_of_all_callbacks_is_lost_and_the_same_one_again() -> None:
    """Bytes that are no callback are never among them: nothing could heal these."""
    callbacks = list(schedule(TRAFFIC, START))
    first = lost(Losses(1, 0.05))
    assert 0.02 < len(first) / len(callbacks) < 0.08
    assert lost(Losses(1, 0.05)) == first
    assert lost(Losses(2, 0.05)) != first
    assert not lost(Losses(1, 0.0))
    malformed = {one.number for one in callbacks if isinstance(one.subject, Malformed)}
    assert malformed
    assert not malformed & set(lost(Losses(1, 1.0)))


def test_all_of_an_outage_is_lost() -> None:
    """By Routee's time, from its begin to before its end; reports go with the statuses around them."""
    losses = Losses(1, 0.0, START + 30, START + 60)
    for callback in schedule(TRAFFIC, START):
        is_lost = losses(callback)
        if isinstance(callback.subject, StatusCallback):
            assert is_lost == (START + 30 <= callback.subject.change.at < START + 60)
