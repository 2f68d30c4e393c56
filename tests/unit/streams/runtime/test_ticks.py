"""
How far a partition has been taken in, which a tick tells.
"""

from streams.runtime.ticks import TakenIn


def test_a_partition_is_taken_in_up_to_the_last_look_whose_records_are_all_durable() -> None:
    taken = TakenIn()
    assert taken.look(10.0, end=5, durable=3) == 0
    assert taken.look(20.0, end=9, durable=5) == 10.0
    assert taken.look(30.0, end=12, durable=8) == 10.0
    assert taken.look(40.0, end=12, durable=12) == 40.0


def test_without_records_time_goes_on() -> None:
    taken = TakenIn()
    assert [taken.look(at, end=0, durable=0) for at in (10.0, 20.0)] == [10.0, 20.0]
