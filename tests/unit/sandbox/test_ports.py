import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.errors import PortTakenError
from sandbox.ports import LOOPBACK, free_port, require_free

_FILES = Path("/proc/self/fd")


def test_a_free_port_is_free_and_so_are_those_asked_for_with_it() -> None:
    first = free_port(together=3)
    require_free({str(port): port for port in range(first, first + 3)})


def test_a_free_port_is_none_that_an_outgoing_connection_could_get() -> None:
    lowest, _ = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    assert all(free_port() < int(lowest) for _ in range(100))


def test_a_free_port_is_given_to_one_process() -> None:
    port = free_port()
    # Without the claim the other process would take it, with a chance of 99 in 100.
    ports = f"[{port}] * 100_000 + [*range(31_000, 32_000)]"
    command = f"import sandbox.ports; sandbox.ports._LISTENING = {ports}; print(sandbox.ports.free_port())"
    other = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, timeout=30, check=True)
    assert int(other.stdout) != port


def test_a_process_has_few_claims_at_a_time() -> None:
    before = len([*_FILES.iterdir()])
    for _ in range(100):
        free_port(together=2)
    assert len([*_FILES.iterdir()]) <= before + 2 * 32


@pytest.mark.parametrize("mine", ["", LOOPBACK])
@pytest.mark.parametrize("theirs", ["", LOOPBACK])
def test_a_port_in_use_is_named_with_its_variable(mine: str, theirs: str) -> None:
    with socket.socket() as other:
        other.bind((theirs, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"^port {port} is not free \\(in use\\): set INGEST_PORT to another"):
            require_free({"A_PORT": free_port(), "INGEST_PORT": port}, mine)


def test_one_port_given_to_two_programs_is_in_use() -> None:
    port = free_port()
    with pytest.raises(PortTakenError, match=r"is not free \(A_PORT has it\): set B_PORT to another one$"):
        require_free({"A_PORT": port, "B_PORT": port})


def test_every_port_in_use_is_named_at_once() -> None:
    with socket.socket() as one, socket.socket() as other:
        for taken in (one, other):
            taken.bind((LOOPBACK, 0))
            taken.listen()
        first, second = (taken.getsockname()[1] for taken in (one, other))
        with pytest.raises(PortTakenError) as error:
            require_free({"A_PORT": first, "B_PORT": free_port(), "C_PORT (+1)": second})
    assert str(error.value).splitlines() == [
        f"port {first} is not free (in use): set A_PORT to another one",
        f"port {second}, C_PORT + 1, is not free (in use): set C_PORT to another one",
    ]


def test_an_address_of_another_machine_can_not_be_used() -> None:
    with pytest.raises(PortTakenError, match="set A_PORT"):
        require_free({"A_PORT": 20_000}, "192.0.2.1")
