"""The register of open connections."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from ingest.http.connections import Connections


class Member:
    """A connection that notes its calls."""

    def __init__(self, register: Connections, share: bytes | None = None) -> None:
        self.calls: list[str] = []
        self.share = share
        self.is_busy = False
        self._register = register

    def drain(self) -> None:
        self.calls.append("drain")

    def distrust(self) -> None:
        self.calls.append("distrust")

    def cut(self) -> None:
        self.calls.append("cut")
        self._register.remove(self)

    def shed(self) -> None:
        self.calls.append("shed")

    def sweep(self, now: float) -> None:
        self.calls.append(f"sweep {now}")
        self._register.remove(self)


def full(most: int, most_per_share: int = 1_000, share: bytes | None = None) -> tuple[Connections, list[Member]]:
    """Return a register with as many connections as it may have."""
    register = Connections(most, most_per_share)
    members = [Member(register, share) for _ in range(min(most, most_per_share))]
    assert all(map(register.add, members))
    return register, members


def shed(members: list[Member]) -> list[int]:
    return [place for place, member in enumerate(members) if member.calls == ["shed"]]


def test_a_connection_too_many_takes_the_place_of_the_one_that_is_silent_longest() -> None:
    register, members = full(4)
    for count in range(1, 5):
        assert register.add(Member(register))
        assert shed(members) == list(range(count))
        assert len(register) == 4


def test_a_connection_that_had_a_callback_goes_after_all_that_had_none() -> None:
    register, members = full(5)
    for place in (0, 3, 1, 0):
        register.use(members[place])
    for gone in ([2], [2, 4]):
        newest = Member(register)
        assert register.add(newest)
        register.use(newest)
        assert shed(members) == gone
    for gone in ([2, 3, 4], [1, 2, 3, 4]):
        newest = Member(register)
        assert register.add(newest)
        register.use(newest)
        assert shed(members) == gone


def test_one_whose_refusal_is_held_back_goes_first() -> None:
    register, members = full(3)
    register.hold_back(members[1])
    assert register.add(Member(register))
    assert shed(members) == [1]


def test_one_with_a_callback_under_way_never_goes() -> None:
    register, members = full(3)
    register.use(members[2])
    for member in members:
        member.is_busy = True
    assert not register.add(Member(register))
    members[1].is_busy = False
    assert register.add(Member(register))
    assert shed(members) == [1]
    assert len(register) == 3


def test_a_place_is_not_looked_for_among_all() -> None:
    looks = 0

    class Busy(Member):
        @property
        def is_busy(self) -> bool:
            nonlocal looks
            looks += 1
            return True

        @is_busy.setter
        def is_busy(self, value: bool) -> None:
            pass

    register = Connections(5_000, 5_000)
    members = [Busy(register) for _ in range(5_000)]
    assert all(map(register.add, members))
    assert not register.add(Member(register))
    assert looks == 16
    idle = Member(register)
    register.remove(members[2_500])
    assert register.add(idle)
    looks = 0
    tries = 0
    while not register.add(Member(register)):
        tries += 1
    assert tries < 5_000 / 16 + 1, "a busy connection is looked at again after all others"
    assert idle.calls == ["shed"]


def test_an_address_has_a_bound_of_its_own() -> None:
    register, members = full(1_000, 3, b"here")
    other = Member(register, b"there")
    assert register.add(other)
    assert register.add(Member(register, b"here"))
    assert (shed(members), other.calls) == ([0], [])
    for member in members[1:]:
        register.use(member)
    last = Member(register, b"here")
    assert register.add(last)
    assert shed(members) == [0], "the one of before had no callback yet"
    register.use(last)
    assert not register.add(Member(register, b"here")), "all of them had callbacks"
    register.remove(last)
    assert register.add(Member(register, b"here"))


def test_a_connection_of_a_proxy_has_no_bound() -> None:
    register = Connections(1_000, 2)
    assert all(register.add(Member(register)) for _ in range(100))


def test_one_whose_refusal_is_held_back_leaves_its_place_to_others_of_its_address() -> None:
    register, members = full(1_000, 2, b"here")
    for member in members:
        register.use(member)
        register.hold_back(member)
    more = [Member(register, b"here") for _ in range(2)]
    assert all(map(register.add, more))
    for member in members:
        register.remove(member)
    for member in more:
        register.use(member)
    assert not register.add(Member(register, b"here")), "each place was given back once"
    assert [member.calls for member in members] == [[], []]


def test_refusals_that_are_held_back_are_bounded() -> None:
    register = Connections(5_000, 5_000)
    members = [Member(register, b"here") for _ in range(1_030)]
    for member in members:
        assert register.add(member)
        register.hold_back(member)
    assert len(register) == 1_024
    assert shed(members) == [0, 1, 2, 3, 4, 5]


@given(st.lists(st.tuples(st.sampled_from(["add", "use", "hold", "remove", "busy"]), st.integers(0, 30)), max_size=200))
def test_no_order_of_events_breaks_the_bounds_or_sheds_a_busy_one(events: list[tuple[str, int]]) -> None:
    register = Connections(6, 3)
    members = [Member(register, bytes([place % 3]) if place % 4 else None) for place in range(31)]
    inside: set[int] = set()
    for event, place in events:
        member = members[place]
        busy = {other for other in inside if members[other].is_busy}
        if event == "add" and place not in inside:
            member.calls.clear()
            if register.add(member):
                inside.add(place)
        elif event == "busy":
            member.is_busy = not member.is_busy
        elif place in inside and event == "use":
            register.use(member)
        elif place in inside and event == "hold" and not member.is_busy:
            register.hold_back(member)
        elif place in inside and event == "remove":
            register.remove(member)
            inside.discard(place)
        gone = {other for other in inside if "shed" in members[other].calls}
        assert not gone & busy
        inside -= gone
        assert len(register) == len(inside) <= 6
        for share in (b"\x00", b"\x01", b"\x02"):
            assert sum(members[other].share == share for other in inside) <= 3


def test_every_connection_is_reached_also_when_it_ends_meanwhile() -> None:
    register = Connections(2, 2)
    members = [Member(register), Member(register)]
    for member in members:
        register.add(member)
    register.drain()
    register.distrust()
    register.sweep(7.0)
    assert [member.calls for member in members] == [["drain", "distrust", "sweep 7.0"]] * 2
    assert len(register) == 0


async def test_waiting_ends_with_the_last_connection() -> None:
    register = Connections(2, 2)
    members = [Member(register), Member(register)]
    for member in members:
        register.add(member)
    waiting = asyncio.create_task(register.wait_until_empty(30.0))
    for member in members:
        await asyncio.sleep(0)
        assert not waiting.done()
        register.remove(member)
    await waiting
    assert [member.calls for member in members] == [[], []]


async def test_connections_left_after_the_timeout_are_cut() -> None:
    register = Connections(2, 2)
    members = [Member(register), Member(register)]
    for member in members:
        register.add(member)
    await register.wait_until_empty(0.0)
    assert [member.calls for member in members] == [["cut"], ["cut"]]
