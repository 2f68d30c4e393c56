"""
Questions to the other programs: all at once, each within a time limit, the answers kept for seconds.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import orjson

from console.answers import read_up_to, why_silent
from console.places import Place, parse_places
from console.programs.told import Process, lag_of, samples_of, taken_in, words_of
from console.settings import ConsoleSettings

SECONDS: Final = 2.0
_KEPT_SECONDS: Final = 4.0
_MOST_BYTES: Final = 1 << 20
_MOST_PROCESSES: Final = 32
_PACE_SECONDS: Final = 60.0
"""A pace since an older look would be one of the past."""
_LATE: Final = 300.0
_LATE_FILES: Final = 1800.0
"""As in docker/monitoring/rules.yaml: files wait for their time."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program at one moment."""

    name: str
    processes: int
    """How many answer."""
    versions: tuple[str, ...]
    started: float | None
    """When the youngest of them was started, in seconds since 1970."""
    lag: float | None
    """Age of the oldest record that waits for it, in seconds; None when it reads no topic, or does not answer."""
    trouble: str
    """Why it does not answer, or is not ready; empty when all is well."""
    words: str

    @property
    def is_away(self) -> bool:
        """Return whether nothing of it answers."""
        return not self.processes

    @property
    def version(self) -> str:
        """Return the version, or those of its processes."""
        return ", ".join(self.versions)

    @property
    def said(self) -> str:
        """Return all that there is to say of it, in a line."""
        return "; ".join(filter(None, (self.trouble, self.words)))

    @property
    def is_late(self) -> bool:
        """Return whether it is further behind than the alarms of the monitoring allow."""
        return self.lag is not None and self.lag > (_LATE_FILES if self.name.endswith("files") else _LATE)


def state_of(program: Program) -> str:
    """Return its state in a word or two."""
    if program.is_away:
        return "away"
    if program.trouble:
        return "not ready"
    return "late" if program.is_late else "ready"


class _Taken(NamedTuple):
    """The callbacks that a process of ingest had taken in since its start, at a moment."""

    at: float
    started: float | None
    callbacks: float


class Programs:
    """The programs of CONSOLE_PROGRAMS. One that does not answer is told as such; nothing is raised."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self.places = parse_places(settings.console_programs)
        self._session: aiohttp.ClientSession | None = None
        self._asked: tuple[float, asyncio.Task[list[Program]]] | None = None
        self._taken: dict[tuple[str, str], _Taken] = {}
        """Of each process, by program and address, what it had taken in at the last look that it answered."""

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def now(self) -> list[Program]:
        """Return the state of each program, at most some seconds old."""
        now = monotonic()
        if self._asked is None or now > self._asked[0]:
            self._asked = now + _KEPT_SECONDS, asyncio.create_task(self._all())
        return await asyncio.shield(self._asked[1])

    async def _all(self) -> list[Program]:
        return [*await asyncio.gather(*map(self._program, self.places))]

    async def _program(self, place: Place) -> Program:
        """Return a program's state: that of all addresses of its host."""
        answers: list[Process | str]
        try:
            async with asyncio.timeout(SECONDS):
                addresses = await _addresses(place.url)
        except (OSError, TimeoutError, ValueError) as error:  # ValueError: a name that no look-up takes
            addresses, answers = [""], [_words_of_error(error)]
        else:
            answers = [*await asyncio.gather(*(self._process(place.url, one) for one in addresses))]
        by_address = {address: one for address, one in zip(addresses, answers, strict=True) if isinstance(one, Process)}
        processes = [*by_address.values()]
        silent = [one for one in answers if isinstance(one, str)]
        trouble = next((one.trouble for one in processes if one.trouble), silent[0] if silent else "")
        if processes and silent:
            trouble = f"{len(silent)} of {len(answers)} processes: {silent[0]}"
        try:
            words = words_of(place.name, processes, self._pace(place.name, by_address))
        except (ValueError, ArithmeticError):  # numbers that no program of ours tells
            words, trouble = "", trouble or "its metrics cannot be read"
        return Program(
            name=place.name,
            processes=len(processes),
            versions=tuple(sorted({one.version for one in processes if one.version})),
            started=max((one.started for one in processes if one.started), default=None),
            lag=lag_of(processes),
            trouble=trouble,
            words=words,
        )

    async def _process(self, url: str, address: str) -> Process | str:
        """Return what answers at an address of a host, or in words why nothing does."""
        try:
            async with asyncio.timeout(SECONDS):
                ready, detail = await self._answer(url, address, "/readyz")
                status, metrics = await self._answer(url, address, "/metrics")
            samples = samples_of(metrics) if status == HTTPStatus.OK else {}
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return _words_of_error(error)
        except (ValueError, LookupError):  # no metrics in Prometheus' form
            samples = {}
        if "routee_build_info" not in samples:
            return "something answers there, but not as a program of this project does"
        return Process("" if ready == HTTPStatus.OK else _reason(detail), samples)

    async def _answer(self, url: str, address: str, page: str) -> tuple[int, bytes]:
        host = urlsplit(url)
        port = f":{host.port}" if host.port else ""
        # By address, so that each process of a host is asked; a certificate is for the name.
        asked = f"{host.scheme}://{address}{port}{page}"
        async with self._opened().get(
            asked,
            headers={"Host": host.netloc},
            server_hostname=host.hostname if host.scheme == "https" else None,
            allow_redirects=False,
        ) as answer:
            return answer.status, await read_up_to(answer.content, _MOST_BYTES)

    def _pace(self, name: str, processes: Mapping[str, Process]) -> float | None:
        """
        Return what ingest takes in a second, from each process since the last look that it answered.

        None when no process of these answered within a minute before, or each was started since.
        """
        now, paces = monotonic(), []
        for address, process in processes.items():
            callbacks = taken_in([process])
            if callbacks is None:
                continue
            known = self._taken.get((name, address))
            self._taken[name, address] = taken = _Taken(now, process.started, callbacks)
            if known is not None and _are_of_one_start(known, taken) and 0 < now - known.at <= _PACE_SECONDS:
                paces.append((callbacks - known.callbacks) / (now - known.at))
        self._taken = {key: one for key, one in self._taken.items() if now - one.at <= _PACE_SECONDS}
        return sum(paces) if paces else None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS))
        return self._session


def _are_of_one_start(before: _Taken, after: _Taken) -> bool:
    """Return whether a process went on between two looks; one that counts less was started anew."""
    return before.started == after.started and before.callbacks <= after.callbacks


async def _addresses(url: str) -> list[str]:
    """Return the addresses of a host, as they stand in a URL. OSError when it has none."""
    host = urlsplit(url).hostname or ""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    addresses = dict.fromkeys(ipaddress.ip_address(one[4][0]) for one in found)
    # `localhost` has an address of each kind, behind which there is one process.
    versions = {one.version for one in addresses}
    kept = [one for one in addresses if len(versions) == 1 or one.version == 4]  # noqa: PLR2004 - as it is called
    return [str(one) if one.version == 4 else f"[{one}]" for one in kept[:_MOST_PROCESSES]]  # noqa: PLR2004 - the same


def _words_of_error(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {SECONDS:g} s"
    return f"no answer ({why_silent(error)})"


def _reason(detail: bytes) -> str:
    """Return the first reason of a problem, as /readyz tells it."""
    with suppress(orjson.JSONDecodeError, AttributeError, TypeError, IndexError):
        return str(orjson.loads(detail).get("detail", "")).splitlines()[0]
    return "it is not ready"
