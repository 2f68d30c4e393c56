"""
The other programs: what they tell, and that one that does not answer costs a line and no more than its time limit.
"""

import asyncio
from collections.abc import Callable, Iterable

import pytest
from aiohttp import ClientConnectionError
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from console.places import Place, parse_places
from console.programs import client, told
from console.programs.client import Program, Programs, state_of
from console.programs.told import Process, samples_of, words_of
from console.settings import ConsoleSettings
from streams.program.settings import load_settings
from streams.program.vitals import Vitals
from tests.unit.console.pages.asgi import Console

STREAMS = """
# TYPE routee_streams_lag_seconds gauge
routee_streams_lag_seconds{table="sms",partition="0"} 0.4
routee_streams_lag_seconds{table="campaigns",partition="0"} 0.0
routee_streams_partitions{table="sms"} 4
routee_streams_partitions{table="campaigns"} 4
routee_streams_partitions_expected 8
"""
INGEST = """
# TYPE routee_ingest_accepted_total counter
routee_ingest_accepted_total 1000
# TYPE routee_ingest_answer_seconds histogram
routee_ingest_answer_seconds_bucket{le="0.01"} 990
routee_ingest_answer_seconds_bucket{le="0.1"} 999
routee_ingest_answer_seconds_bucket{le="+Inf"} 1000
"""
SINK = 'routee_sinks_lag_seconds{topic="a",partition="0"} 12\nroutee_sinks_retries_total{table="sms_status"} 3\n'
BACKFILL = "routee_backfill_unsettled 17\nroutee_backfill_gone 2\n"
Answer = Callable[[Programs, str, str, str], "asyncio.Future[tuple[int, bytes]]"]


def programs(monkeypatch: pytest.MonkeyPatch, named: str, pages: dict[str, tuple[int, str] | Exception]) -> Programs:
    """Return programs of which each page is known by its address, as `10.0.0.1/readyz`; the others never answer."""

    async def answer(_: Programs, __: str, address: str, page: str) -> tuple[int, bytes]:
        found = pages.get(f"{address}{page}")
        if isinstance(found, Exception):
            raise found
        if found is None:
            await asyncio.Event().wait()
        status, text = found or (500, "")
        return status, text.encode()

    async def addresses(url: str) -> list[str]:
        return url.removeprefix("http://").split("+")

    monkeypatch.setattr(Programs, "_answer", answer)
    monkeypatch.setattr(client, "_addresses", addresses)
    return Programs(load_settings(ConsoleSettings, env_file=None, console_programs=named))


def pages_of(address: str, metrics: str, program: str = "streams") -> dict[str, tuple[int, str] | Exception]:
    vitals = Vitals(program).render().decode()
    return {f"{address}/readyz": (200, "ready\n"), f"{address}/metrics": (200, vitals + metrics)}


def test_each_program_is_told_in_a_line() -> None:
    lines = {
        name: words_of(name, [Process("", samples_of(text.encode()))] * 2, pace)
        for name, text, pace in (
            *(("ingest", INGEST, 332.4), ("streams", STREAMS, None), ("sinks-clickhouse", SINK, None)),
            *(("backfill", BACKFILL, None), ("another", BACKFILL, None)),
        )
    }
    assert lines == {
        "ingest": "332 callbacks/s; 99 % answered within 10 ms; none refused since the start",
        "streams": "0.4 s behind; 8 of 8 partitions owned",
        "sinks-clickhouse": "12 s behind; 6 inserts were tried again since the start",
        "backfill": "34 messages may lack callbacks; 4 are gone",
        "another": "",
    }


async def test_the_processes_of_a_host_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    known = pages_of("a", STREAMS) | pages_of("b", STREAMS)
    [found] = await programs(monkeypatch, "streams=http://a+b", known).now()
    assert (found.processes, found.lag, found.trouble, state_of(found)) == (2, 0.4, "", "ready")
    assert found.words == "0.4 s behind; 8 of 8 partitions owned"
    assert found.started
    assert len(found.versions) == 1


async def test_a_program_that_does_not_answer_is_a_line_and_costs_its_time_limit_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "SECONDS", 0.2)
    known = pages_of("a", STREAMS) | {"d/readyz": ClientConnectionError()}
    known |= {"e/readyz": (200, "<html>"), "e/metrics": (200, "<html>")}
    named = "streams=http://a,silent=http://b,half=http://a+d,closed=http://d,other=http://e"
    asked = programs(monkeypatch, named, known)
    async with asyncio.timeout(10):
        found = {one.name: one for one in await asked.now()}
    assert found["streams"].trouble == ""
    assert found["silent"].trouble == "no answer within 0.2 s"
    assert found["half"].trouble == "1 of 2 processes: no answer (no connection)"
    assert found["closed"].trouble == "no answer (no connection)"
    assert found["other"].trouble == "something answers there, but not as a program of this project does"
    assert [state_of(found[name]) for name in ("silent", "half", "closed", "other")] == [
        *("away", "not ready", "away", "away")
    ]


async def test_a_program_that_does_not_answer_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that it refused none, and not that nothing is missing."""
    known = dict.fromkeys(("a/readyz", "a/metrics"), ClientConnectionError())
    named = ",".join(f"{name}=http://a" for name in ("ingest", "streams", "sinks-files", "backfill"))
    found = await programs(monkeypatch, named, {**known}).now()
    assert [one.said for one in found] == ["no answer (no connection)"] * 4


async def test_a_program_that_is_not_ready_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = '{"status": 503, "detail": "another process still holds a partition\\nmore"}'
    known = pages_of("a", SINK) | {"a/readyz": (503, reason)}
    [found] = await programs(monkeypatch, "sinks-clickhouse=http://a", known).now()
    assert (found.trouble, state_of(found)) == ("another process still holds a partition", "not ready")


@pytest.mark.parametrize(
    ("name", "lag", "is_late"), [("streams", 299, False), ("streams", 301, True), ("sinks-files", 1700, False)]
)
def test_a_program_is_late_when_the_monitoring_says_so(name: str, lag: float, is_late: bool) -> None:  # noqa: FBT001 - a case
    assert Program(name, 1, ("1",), None, lag, "", "").is_late is is_late


async def test_the_pace_of_ingest_is_that_since_the_last_look(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(client, "monotonic", lambda: now[0])
    known = pages_of("a", INGEST)
    asked = programs(monkeypatch, "ingest=http://a", known)
    assert "callbacks/s" not in (await asked.now())[0].words
    known |= pages_of("a", INGEST.replace("total 1000", "total 1500"))
    assert "callbacks/s" not in (await asked.now())[0].words  # a look is kept for seconds
    now[0] += 10
    assert (await asked.now())[0].words.startswith("50 callbacks/s; ")
    known |= pages_of("a", INGEST.replace("total 1000", "total 3"))  # it was started anew
    now[0] += 10
    assert "callbacks/s" not in (await asked.now())[0].words


async def test_a_program_with_odd_metrics_is_a_line_of_health(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = (
        "process_start_time_seconds NaN\nroutee_backfill_unsettled NaN\n",
        "routee_backfill_lag_seconds NaN\nroutee_backfill_unsettled +Inf\n",
        "routee_streams_lag_seconds NaN\nprocess_start_time_seconds 1e300\n",
        'routee_ingest_answer_seconds_bucket 5\nroutee_ingest_answer_seconds_bucket{le="+Inf"} 5\n',
        'routee_ingest_answer_seconds_bucket{le="x"} 5\n',
        "routee_backfill_unsettled 1e308\nroutee_backfill_unsettled 1e308\n",
        "routee_streams_partitions_expected 1e308\nroutee_streams_partitions -1e308\n",
        "routee_ingest_accepted_total 1e308\nroutee_ingest_accepted_total 1e308\nroutee_ingest_accepted_total NaN\n",
    )
    known: dict[str, tuple[int, str] | Exception] = {}
    for place, text in enumerate(odd):
        known |= {f"{place}/readyz": (200, ""), f"{place}/metrics": (200, f"routee_build_info 1\n{text}")}
    kinds = ("ingest", "streams", "sinks", "backfill")
    named = ",".join(f"{kind}-{place}=http://{place}" for kind in kinds for place in range(len(odd)))
    found = await programs(monkeypatch, named, known).now()
    assert [one.name for one in found if "nan" in one.said or "inf" in one.said] == []
    assert {one.name for one in found if one.trouble} == {"ingest-3", "ingest-4", "backfill-5"}
    assert {one.trouble for one in found if one.trouble} == {"its metrics cannot be read"}
    page = await Console(programs=found, answers=None).get("/health")
    assert page.status == 200
    assert "nan " not in page.body


async def test_a_host_that_no_look_up_takes_is_a_name_that_is_not_known() -> None:
    asked = Programs(load_settings(ConsoleSettings, env_file=None))
    asked.places = (Place("ingest", "http://a..b:9101"), Place("streams", f"http://{'a' * 64}:9101"))
    assert [one.trouble for one in await asked.now()] == ["no answer (its name is not known)"] * 2


async def test_a_process_that_was_silent_for_a_look_makes_no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(client, "monotonic", lambda: now[0])

    def counted(address: str, callbacks: int, started: int = 5) -> dict[str, tuple[int, str] | Exception]:
        text = f"routee_build_info 1\nprocess_start_time_seconds {started}\nroutee_ingest_accepted_total {callbacks}\n"
        return {f"{address}/readyz": (200, ""), f"{address}/metrics": (200, text)}

    known = counted("a", 1000) | counted("b", 25_000_000)
    asked = programs(monkeypatch, "ingest=http://a+b", known)

    async def pace(seconds: int, *looks: dict[str, tuple[int, str] | Exception]) -> str:
        for look in looks:
            known.update(look)
        now[0] += seconds
        words = (await asked.now())[0].words.split("; ")[0]
        return words if "callbacks/s" in words else ""

    assert await pace(0) == ""
    assert await pace(10, counted("a", 2000), {"b/readyz": ClientConnectionError()}) == "100 callbacks/s"
    assert await pace(10, counted("a", 3000), counted("b", 25_001_000)) == "150 callbacks/s"
    assert await pace(10, counted("a", 9000, started=6), counted("b", 25_002_000)) == "100 callbacks/s"
    assert await pace(61, counted("a", 9500, started=6), counted("b", 25_009_000)) == ""
    assert await pace(10, counted("a", 9600, started=6), counted("b", 25_009_000)) == "10 callbacks/s"


def test_of_many_metrics_the_few_that_are_told_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read = list[str]()

    def families(text: str) -> Iterable[Metric]:
        read.append(text)
        return text_string_to_metric_families(text)

    monkeypatch.setattr(told, "text_string_to_metric_families", families)
    noise = "".join(f'python_gc_objects_total{{generation="{place}"}} 1\n' for place in range(10_000))
    whole = noise + STREAMS + noise + SINK + INGEST + BACKFILL
    samples = samples_of(f"{whole}routee_sinks_retries_total 12".encode())  # the end was cut off
    assert read[0].count("\n") == sum(not line.startswith("#") for line in whole.splitlines() if line) - 20_000
    assert {name: len(found) for name, found in samples.items()}["routee_sinks_retries_total"] == 1
    assert samples["routee_streams_lag_seconds"][0][1] == 0.4


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        *(("a=http://b:0", "a port is from 1 to 65535"), ("a=http://b:99999", "a port is from 1 to 65535")),
        *(("a=http://a..b:9101", "no host has such"), (f"a=http://{'b' * 64}", "no host has such")),
        *(("a=http://[b", "is not name="), ("a=http://b?c", "is not name=")),
    ],
)
def test_a_host_or_port_that_cannot_be_is_one_clear_fault(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault) as error:
        parse_places(text)
    assert ";" not in str(error.value).replace("name; each", "")


def test_the_setting_names_every_fault_at_once() -> None:
    assert parse_places(" ingest=http://ingest:9101, streams=http://10.0.0.1:9103/ ,") == (
        Place("ingest", "http://ingest:9101"),
        Place("streams", "http://10.0.0.1:9103"),
    )
    with pytest.raises(ValueError, match=r"'ingest' is not name=http.*; a is there twice"):
        parse_places("ingest,a=http://b,a=http://c")
