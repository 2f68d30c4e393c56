"""The register of open connections."""

import asyncio

from ingest.http.connections import Connections


class Member:
    """A connection that notes its calls."""

    def __init__(self, register: Connections) -> None:
        self.calls: list[str] = []
        self._register = register

    def drain(self) -> None:
        self.calls.append("drain")

    def distrust(self) -> None:
        self.calls.append("distrust")

    def cut(self) -> None:
        self.calls.append("cut")
        self._register.remove(self)

    def sweep(self, now: float) -> None:
        self.calls.append(f"sweep {now}")
        self._register.remove(self)


def test_a_connection_too_many_is_not_served_until_another_one_ends() -> None:
    register = Connections(2)
    first, second, third = (Member(register) for _ in range(3))
    assert register.add(first)
    assert register.add(second)
    assert not register.add(third)
    assert len(register) == 3
    register.remove(third)
    register.remove(first)
    assert register.add(third)


def test_every_connection_is_reached_also_when_it_ends_meanwhile() -> None:
    register = Connections(2)
    members = [Member(register), Member(register)]
    for member in members:
        register.add(member)
    register.drain()
    register.distrust()
    register.sweep(7.0)
    assert [member.calls for member in members] == [["drain", "distrust", "sweep 7.0"]] * 2
    assert len(register) == 0


async def test_waiting_ends_with_the_last_connection() -> None:
    register = Connections(2)
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
    register = Connections(2)
    members = [Member(register), Member(register)]
    for member in members:
        register.add(member)
    await register.wait_until_empty(0.0)
    assert [member.calls for member in members] == [["cut"], ["cut"]]
