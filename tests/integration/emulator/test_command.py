"""
`routee-sandbox emulate` as a process: same traffic for the same seed, clean ends, clear words.
"""

import asyncio
import signal
import socket
import sys
from pathlib import Path

import orjson
import pytest
from aiohttp import ClientSession

from sandbox.emulator.ledger import read_ledger
from sandbox.ports import free_port
from tests.integration.emulator.receiver import receiver
from tests.support.wait import eventually_async

PROGRAM = str(Path(sys.executable).with_name("routee-sandbox"))
SMALL = ("--campaigns", "1", "--recipients", "20", "--singles", "10", "--malformed", "0.05")


async def emulate(*options: str) -> tuple[int | None, str]:
    """Run to the end; return exit code and output."""
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "emulate", *options, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, said.decode()


async def test_same_seed_same_traffic() -> None:
    """Two runs over one connection post the same bytes in the same order; another seed posts others."""
    async with receiver() as received:
        runs = []
        for seed in ("5", "5", "6"):
            received.bodies.clear()
            code, said = await emulate("--url", received.url, *SMALL, "--seed", seed, "--connections", "1")
            assert code == 0, said
            runs.append(list(received.bodies))
    assert runs[0] == runs[1] != runs[2]


async def test_requests_look_like_routee_s() -> None:
    """Each is a POST of JSON to the path of the URL, secret included."""
    async with receiver() as received:
        await emulate("--url", received.url, *SMALL)
        head = received.heads[0].decode()
    assert head.startswith("POST /callbacks/s3cret HTTP/1.1\r\n")
    assert "\r\nContent-Type: application/json" in head


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, 130)])
async def test_a_signal_ends_cleanly(tmp_path: Path, number: signal.Signals, exit_code: int) -> None:
    """The ledger is whole, has everything that was posted, and says that it is not complete."""
    ledger = tmp_path / "ledger.ndjson"
    async with receiver() as received:
        process = await asyncio.create_subprocess_exec(
            PROGRAM, "emulate", "--url", received.url, "--rate", "200", "--ledger", str(ledger),
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await eventually_async(lambda: len(received.bodies) > 20, deadline=30)
        process.send_signal(number)
        _, said = await asyncio.wait_for(process.communicate(), 60)
        posted = len(received.bodies)
    assert process.returncode == exit_code
    assert b"Traceback" not in said
    end = orjson.loads(ledger.read_bytes().splitlines()[-1])
    assert end == {"type": "end", "complete": False, "callbacks": posted, "accepted": posted}
    assert read_ledger(ledger).accepted == posted


async def test_refused_for_good_is_a_failure() -> None:
    """When Routee would have given up, the exit code is 1 and the last line says how many."""
    async with receiver(lambda _: 503) as received:
        code, said = await emulate("--url", received.url, *SMALL, "--retry-scale", "0.0000001")
    assert code == 1
    assert " never answered 200" in said.splitlines()[-1]


async def test_an_url_without_a_server_is_one_line(tmp_path: Path) -> None:
    """Exit code 1 after a few tries, and a line that names the address; the ledger of the run before stays."""
    before = tmp_path / "ledger.ndjson"
    before.write_text("the truth\n")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        code, said = await emulate("--url", f"http://127.0.0.1:{port}/callbacks", *SMALL, "--ledger", str(before))
    assert code == 1
    assert before.read_text() == "the truth\n"
    (line,) = said.splitlines()
    assert line.startswith(f"emulate: nobody answers at 127.0.0.1:{port} after 5 tries: ")


async def test_a_ledger_that_can_not_be_written_is_one_line(tmp_path: Path) -> None:
    """Exit code 1, and a line that names the file."""
    async with receiver() as received:
        code, said = await emulate("--url", received.url, *SMALL, "--ledger", str(tmp_path / "no" / "ledger"))
    assert code == 1
    assert "Traceback" not in said
    assert str(tmp_path / "no" / "ledger") in said


async def test_wrong_options_are_wrong_usage() -> None:
    """Exit code 2, and a last line that names the option."""
    code, said = await emulate("--url", "somewhere")
    assert code == 2
    assert "argument --url: 'somewhere': a callback URL looks like" in said.splitlines()[-1]


async def test_the_pull_api_is_served_until_a_signal_comes(tmp_path: Path) -> None:
    """After the last callback it goes on; swallowed callbacks are in the ledger and were not posted."""
    ledger, port = tmp_path / "ledger.ndjson", free_port()
    async with receiver() as received, ClientSession() as session:
        process = await asyncio.create_subprocess_exec(
            PROGRAM, "emulate", "--url", received.url, *SMALL, "--swallowed", "0.2", "--ledger", str(ledger),
            "--pull-port", str(port), stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stderr is not None
        while b"the pull API goes on" not in await asyncio.wait_for(process.stderr.readline(), 60):
            pass
        async with session.get(f"http://127.0.0.1:{port}/campaigns/x") as answer:
            assert answer.status == 401
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 60)
    assert process.returncode == 0
    assert 0 < len(received.bodies) < read_ledger(ledger).accepted


async def test_a_pull_port_that_is_taken_is_one_line() -> None:
    """The line names the option."""
    async with receiver() as received:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            code, said = await emulate("--url", received.url, *SMALL, "--pull-port", str(port))
    assert (code, said.splitlines()) == (1, [f"emulate: --pull-port {port}: Address already in use"])
