"""
The cost of streams: one worker on one core, Kafka and the clock on the other.

`python -m tests.bench.streams --help`. Parts: `cost` (envelopes of 1, 10 and 50, both stores, beside stock Faust),
`kafka-streams` (beside a Kafka Streams job that does most of the same work, both warm; ends with 1 when their outputs
differ), `skew` (half of all SMS in one campaign), `growth` (cost and memory by the size of the state), `recovery` (a
worker starts with many rows, beside stock Faust), `takeover` (the same with all rows in one partition), `retention`
(disk, memory and recovery of messages that are remembered), `latency` (from a callback in Kafka to the progress that
contains it), `answers` (how long workers take to answer over HTTP meanwhile), `rebalance` (how long progress stands
still while workers join, leave and die).

The processor's speed is not ours alone: each table ends with a yardstick, the time of a fixed piece of Python work
before and after. Figures of runs with different yardsticks do not compare, their ratios to stock Faust do.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from kafka.admin import KafkaAdminClient, NewTopic

from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from tests.bench import answers, callbacks, freshness, grown, kafka_streams, measuring, standstill, stock_faust
from tests.bench.callbacks import PARTITIONS
from tests.bench.measuring import Figures, say
from tests.bench.workers import DEADLINE_SECONDS, Job, Team, nearest, stretch

_CALM_SECONDS: Final = 3.0
"""Between two changes of the workers."""

_ANSWERS_SECONDS: Final = 20.0
_BACKLOG: Final = 800_000
"""Callbacks that workers have for longer than that."""

_SMALL: Final = 100_000
"""SMS in the state that the others of `growth` are compared with."""

MOST_MB: Final = 640
"""The most memory of a worker, however many SMS there are."""

_USUAL: Final = 50_000
"""SMS of which three callbacks each are measured at every size of the state."""

_WARM_UPS: Final = 4
"""Loads until Java has compiled all that a job does again and again."""

_STOCK_SHARE: Final = 8
"""Stock Faust gets an eighth of the callbacks: it needs as long for them as streams for all."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that are named and print a table of each; all when none is."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.streams", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--callbacks", type=int, default=150_000)
    parser.add_argument(
        "--messages", type=int, default=200_000, help="of the state in `growth`, `recovery`, `takeover` and `rebalance`"
    )
    parser.add_argument(
        "--runs", type=int, default=1, help="runs of `cost`, `kafka-streams` and `growth`, of which the median is shown"
    )
    parser.add_argument("--rate", type=int, default=10_000, help="callbacks per second in `latency`")
    given = parser.parse_args(arguments)
    measuring.pin(measuring.OTHER_CORE)
    for part in given.parts or PARTS:
        with (
            tempfile.TemporaryDirectory(prefix="routee-bench-") as folder,
            KafkaCluster(Path(folder) / "kafka", free_port()) as kafka,
        ):
            say(f"-- {part}")
            before = measuring.yardstick_ms()
            PARTS[part](Bench(Path(folder), kafka), given)
            say(f"yardstick: {before:.1f} ms before, {measuring.yardstick_ms():.1f} ms after")
    return 0


class Bench:
    """A broker, and workers that are started beside it one after the other, each with topics of its own."""

    def __init__(self, folder: Path, kafka: KafkaCluster) -> None:
        self._folder = folder
        self._kafka = kafka
        self._jobs = 0

    @property
    def servers(self) -> str:
        """Return where the broker is."""
        return self._kafka.bootstrap_servers

    def job(self, store: str = "rocksdict", **settings: str) -> Job:
        """Return a job on new topics."""
        self._jobs += 1
        return Job(self._folder / f"job-{self._jobs}", self.servers, f"b{self._jobs}.", store, settings)

    def peer(self, class_path: str, job: Job) -> kafka_streams.PeerJob:
        """Return the job in Java on the callbacks of a job."""
        return kafka_streams.PeerJob(class_path, self._folder / f"java-{self._jobs}", self.servers, job.prefix)

    def compiled(self) -> str:
        """Return the class path of the job in Java."""
        return kafka_streams.compiled(self._folder / "classes")

    def stock(self, count: int) -> Figures:
        """Let stock Faust take in so many callbacks of one record each."""
        topic = self._stock_topic()
        singles = ((partition, None, body) for partition, body in callbacks.lives(count))
        written = callbacks.fill_single(self.servers, topic, singles)
        return Figures(**json.loads(self._run_stock(topic, written).splitlines()[-1]), rss=0)

    def stock_recovery(self, rows: int) -> float:
        """Return the seconds from the start of stock Faust until it has restored so many rows."""
        topic = self._stock_topic()
        log = f"{stock_faust.app_id(topic)}-latest-changelog"
        make_topic(self.servers, log)
        ids = callbacks.message_ids(rows)
        records = ((n % PARTITIONS, *stock_faust.changelog_row(one)) for n, one in enumerate(ids))
        callbacks.fill_single(self.servers, log, records)
        began = time.monotonic()
        restored = int(self._run_stock(topic, 0).splitlines()[-1])
        seconds = time.monotonic() - began
        if restored != rows:
            raise ValueError(f"stock Faust restored {restored} rows of {rows}")
        return seconds

    def _stock_topic(self) -> str:
        self._jobs += 1
        topic = f"stock{self._jobs}"
        make_topic(self.servers, topic)
        return topic

    def _run_stock(self, topic: str, wanted: int) -> str:
        command = [sys.executable, "-m", "tests.bench.stock_faust", self.servers, topic, str(PARTITIONS), str(wanted)]
        run = subprocess.run(
            ["taskset", "-c", str(measuring.PROGRAM_CORE), *command],
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=True,
        )
        return run.stdout


def make_topic(servers: str, topic: str) -> None:
    """Create a topic with the partitions of the benchmarks."""
    admin = KafkaAdminClient(bootstrap_servers=servers)
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    admin.close()


def cost(bench: Bench, given: argparse.Namespace) -> None:
    """Show what a callback costs by size of envelope and store, beside stock Faust in the same minutes, in turns."""
    kinds = ((50, "rocksdict"), (50, "memory"), (10, "rocksdict"), (1, "rocksdict"))
    rounds = []
    for _ in range(given.runs):
        ours = [_whole(bench, given.callbacks, *kind) for kind in kinds]
        rounds.append([bench.stock(given.callbacks // _STOCK_SHARE), *ours])
        each = ", ".join(f"{run.cpu_per_million:.1f}" for run in rounds[-1])
        say(f"CPU s per million, stock Faust first: {each}; yardstick {measuring.yardstick_ms():.1f} ms")
    stock, *medians = (Figures.median(runs) for runs in zip(*rounds, strict=True))
    say(measuring.HEADING)
    say(stock.row("stock Faust, single records"))
    for (per_envelope, store), figures in zip(kinds, medians, strict=True):
        times = stock.cpu_per_million / figures.cpu_per_million
        say(f"{figures.row(f'envelopes of {per_envelope}, {store}')}  {times:.1f} times cheaper")


def _whole(bench: Bench, count: int, per_envelope: int, store: str, *, half_in_one: bool = False) -> Figures:
    job = bench.job(store)
    written = callbacks.fill(bench.servers, job.prefix, callbacks.lives(count, half_in_one=half_in_one), per_envelope)
    with job.worker() as process:
        return job.measure(process, written)


def beside_kafka_streams(bench: Bench, given: argparse.Namespace) -> None:
    """Show what a callback costs a worker and a Kafka Streams job, in turns, both warm, and whether they agree."""
    if not kafka_streams.is_possible():
        say("left out: beside Kafka Streams, whose job is compiled by javac (Debian: apt install default-jdk-headless)")
        return
    class_path, turns = bench.compiled(), []
    for _ in range(given.runs):
        ours, theirs = _turn(bench, given.callbacks, class_path)
        turns.append((ours, theirs))
        each = f"{ours.cpu_per_million:.1f}, {theirs.cpu_per_million:.1f}"
        say(f"CPU s per million, the worker first: {each}; yardstick {measuring.yardstick_ms():.1f} ms")
    ours, theirs = (Figures.median(runs) for runs in zip(*turns, strict=True))
    say(measuring.HEADING)
    say(ours.row("worker, warm"))
    say(theirs.row("Kafka Streams, warm"))
    share = ours.cpu_per_million / theirs.cpu_per_million
    say(f"{share:.2f} of its processor time, {ours.per_second / theirs.per_second:.2f} times its rate; outputs equal")


def _turn(bench: Bench, count: int, class_path: str) -> tuple[Figures, Figures]:
    """Let a worker and the job in Java take the same loads in: some that warm them up, and the last, which counts."""
    job = bench.job()
    loads = [
        callbacks.fill(bench.servers, job.prefix, callbacks.lives(count, seed=seed), 50)
        for seed in range(_WARM_UPS + 1)
    ]
    warm, messages = sum(loads[:-1]), sum(loads) // len(callbacks.STEPS)
    written = sum(loads) + callbacks.fill_unreadable(bench.servers, job.prefix)
    with job.worker() as process:
        samples = job.watch(process, written)
        ours = kafka_streams.outputs(bench.servers, job.prefix, messages)
    peer = bench.peer(class_path, job)
    with peer.running() as process:
        its_samples = peer.watch(process, written)
        theirs = kafka_streams.outputs(bench.servers, peer.prefix, messages)
    kafka_streams.require_equal(ours, theirs)
    mine, its = (stretch(nearest(each, warm), each[-1]) for each in (samples, its_samples))
    return mine, its


def skew(bench: Bench, given: argparse.Namespace) -> None:
    """Show the cost when one campaign holds half of all SMS, beside the usual spread."""
    say(measuring.HEADING)
    say(_whole(bench, given.callbacks, 50, "rocksdict").row("campaigns of one size"))
    say(_whole(bench, given.callbacks, 50, "rocksdict", half_in_one=True).row("half in one campaign"))


def growth(bench: Bench, given: argparse.Namespace) -> None:
    """Show the cost of the same traffic by the size of the state, in turns, and the memory: the state is generated."""
    sizes = sorted({_SMALL, max(given.messages // 10, _SMALL), given.messages})
    held = [_Held(bench, size) for size in sizes]
    say(f"{measuring.HEADING} yardstick")
    for turn in range(1, given.runs + 1):
        for one in held:
            before = measuring.yardstick_ms()
            one.take_in(turn)
            say(f"{one.figures[-1].row(f'{one.size:,} SMS before, turn {turn}')} {before:9.1f}")
    first, *others = (Figures.median(one.figures) for one in held)
    for one, figures in zip(held[1:], others, strict=True):
        share, most = figures.cpu_per_million / first.cpu_per_million, max(run.rss for run in one.figures)
        say(f"{one.size:,} SMS: {share:.2f} times the cost at {_SMALL:,}, {most:.0f} MB at most")
    most = max(run.rss for one in held for run in one.figures)
    say(f"the bound of {MOST_MB} MB {'holds' if most <= MOST_MB else 'DOES NOT HOLD'}")


def _place(job: Job, messages: int) -> grown.Place:
    return grown.place(job.servers, job.prefix, job.partitions, messages)


class _Held:
    """A job with so many SMS in its state, and the figures of the same traffic, as often as it comes."""

    def __init__(self, bench: Bench, size: int) -> None:
        self.size = size
        self.figures: list[Figures] = []
        self._job = bench.job()
        self._taken_in = size
        began = time.monotonic()
        grown.into_local_state(_place(self._job, size), self._job.state)
        seconds, disk = time.monotonic() - began, self._job.local_state_bytes()
        say(
            f"{size:,} SMS generated in {seconds:.0f} s; local state: {disk / 1e9:.2f} GB, {disk / size:.0f} bytes each"
        )

    def take_in(self, turn: int) -> None:
        """Let a worker take in three callbacks each of SMS that are not in the state."""
        bodies = callbacks.lives(_USUAL * len(callbacks.STEPS), seed=turn)
        written = callbacks.fill(self._job.servers, self._job.prefix, bodies, 50)
        with self._job.worker() as process:
            self.figures.append(self._job.measure(process, written, self._taken_in))
        self._taken_in += written


def recovery(bench: Bench, given: argparse.Namespace) -> None:
    """Show how long a worker needs from its start until it works, with its local state and without."""
    job = bench.job()
    grown.into_changelog(_place(job, given.messages))
    # A start alone may take seconds longer than the next one: the ratio must not rest on one of them.
    none = median(_seconds_to_ready(bench.job()) for _ in range(3))
    say(f"{given.messages:,} SMS, from the start of Python to taking in; no rows at all: {none:.1f} s")
    without = _show_restored(job)
    say(f"{'with local state':20} {_seconds_to_ready(job):6.1f} s")
    stock_none = median(bench.stock_recovery(0) for _ in range(3))
    share = given.messages // _STOCK_SHARE
    stock = bench.stock_recovery(share)
    say(f"{f'stock Faust, {share:,}':20} {stock:6.1f} s, none {stock_none:.1f} s")
    ours, theirs = given.messages / (without - none), share / (stock - stock_none)
    say(f"SMS per second: {ours:,.0f}, stock Faust {theirs:,.0f} smaller rows: {ours / theirs:.1f} times")


def takeover(bench: Bench, given: argparse.Namespace) -> None:
    """Show how long a worker without rows takes to take one partition over that has all SMS."""
    job = bench.job(KAFKA_PARTITIONS="1")
    grown.into_changelog(_place(job, given.messages))
    _show_restored(job)


def _show_restored(job: Job) -> float:
    """Let a worker restore all rows; show its figures and return the seconds from its start until it works."""
    started = time.monotonic()
    with job.worker() as process:
        process.wait_until(lambda: job.restored()[1] > 0 and job.is_ready(), DEADLINE_SECONDS)
        whole = time.monotonic() - started
        rows, seconds = job.restored()
        cpu, memory = measuring.cpu_seconds(process.pid), measuring.peak_mb(process.pid)
    say(f"{'without':20} {whole:6.1f} s; {rows:,} rows in {seconds:.1f} s: {rows / seconds:,.0f} a second")
    say(f"{'':20} {cpu:6.1f} s of processor time, {memory} MB at most")
    return whole


def _seconds_to_ready(job: Job) -> float:
    started = time.monotonic()
    with job.worker() as process:
        process.wait_until(job.is_ready, DEADLINE_SECONDS)
        return time.monotonic() - started


def retention(bench: Bench, given: argparse.Namespace) -> None:
    """Show what remembering final messages costs: three callbacks of each SMS, then a start without local state."""
    none = median(_seconds_to_ready(bench.job()) for _ in range(3))
    job, steps = bench.job(), len(callbacks.STEPS)
    written = callbacks.fill(bench.servers, job.prefix, callbacks.lives(given.messages * steps), 50)
    with job.worker() as process:
        figures = job.measure(process, written)
    messages = written // steps
    say(f"{messages:,} SMS: {figures.rss:.0f} MB of memory")
    say(f"{job.local_state_bytes() / messages:,.0f} bytes of local state per SMS")
    job.forget_local_state()
    without = _seconds_to_ready(job) - none
    say(f"restored from Kafka in {without:.1f} s, {without * 1e6 / messages:.1f} s per million SMS")


def latency(bench: Bench, given: argparse.Namespace) -> None:
    """Show the time from a callback in Kafka to the progress that contains it, at a steady rate."""
    job = bench.job(STREAMS_PROGRESS_MS="100")
    with job.worker() as process:
        process.wait_until(job.is_ready, DEADLINE_SECONDS)
        waits = freshness.measure(bench.servers, job.prefix, given.rate)
    say(f"{len(waits)} envelopes at {given.rate:,} callbacks/s, STREAMS_PROGRESS_MS=100:")
    middle, most, longest = (measuring.quantile(waits, share) * 1000 for share in (0.5, 0.99, 1.0))
    say(f"p50 {middle:.0f} ms, p99 {most:.0f} ms, longest {longest:.0f} ms")


def live_answers(bench: Bench, _: argparse.Namespace) -> None:
    """Show how long an SMS, a message, a campaign and a list take to be answered while callbacks flow."""
    say(answers.HEADING)
    for workers in (1, 2):
        for rate, per_envelope in ((2_000, 5), (5_000, 10), (10_000, 10), (None, 50)):
            job = bench.job(STREAMS_WEB_HOST="127.0.0.1")
            callbacks.fill(bench.servers, job.prefix, answers.known(), 50)
            name = f"{workers} worker{'s' * (workers - 1)}, {rate or 'as many as it can'}/s"
            for row in answers.rows(name, _answer_times(job, workers, rate, per_envelope)):
                say(row)


def _answer_times(job: Job, workers: int, rate: int | None, per_envelope: int) -> dict[str, list[float]]:
    if rate is None:
        # The backlog is written before the workers start: its writer shares the core of the client.
        callbacks.fill(job.servers, job.prefix, callbacks.lives(_BACKLOG), per_envelope)
    with Team(job, workers) as team:
        team.wait_until_taken_in(answers.KNOWN)
        answers.wait_until_listed(team.ports)
        if rate is None:
            times = answers.ask(team.ports, _ANSWERS_SECONDS)
            if team.accepted() >= _BACKLOG:
                raise RuntimeError("the backlog ended before the questions")
            return times
        with answers.Flow(job.servers, job.prefix, rate, per_envelope, _ANSWERS_SECONDS + _CALM_SECONDS):
            return answers.ask(team.ports, _ANSWERS_SECONDS)


def rebalance(bench: Bench, given: argparse.Namespace) -> None:
    """Show for how long progress stands still at most while workers come and go under load, with a large state."""
    say(f"{standstill.RATE:,} callbacks/s, two workers, {given.messages:,} SMS in the state, STREAMS_PROGRESS_MS=100.")
    say("Seconds without progress, at most, of a campaign in all partitions and of those in one; until all were back:")
    for standby in ("off", "on"):
        say(f"STREAMS_STANDBY={standby}")
        _rebalance(bench.job(STREAMS_PROGRESS_MS="100", STREAMS_STANDBY=standby), given.messages, standby == "on")


def _rebalance(job: Job, messages: int, stands_by: bool) -> None:  # noqa: FBT001 - a setting
    written = callbacks.fill(job.servers, job.prefix, callbacks.births(messages), 50)
    with Team(job) as team, standstill.Traffic(job.servers, job.prefix) as traffic:
        team.wait_until_taken_in(written)
        for change in (None, team.join, team.leave, team.join, team.kill, team.join, team.kill_and_replace):
            traffic.wait_for_all()
            if stands_by:
                team.wait_until_standing_by()
            time.sleep(_CALM_SECONDS)
            began = time.monotonic()
            if change is not None:
                change()
            team.wait_until_settled()
            settled = time.monotonic() - began
            traffic.wait_for_all()
            name = change.__name__.replace("_", " ") if change else "nothing changes"
            say(f"{name:20} {traffic.longest_everywhere(began):6.1f} {traffic.longest(began):6.1f} {settled:6.1f}")


PARTS: Final[dict[str, Callable[[Bench, argparse.Namespace], None]]] = {
    "cost": cost,
    "kafka-streams": beside_kafka_streams,
    "skew": skew,
    "growth": growth,
    "recovery": recovery,
    "takeover": takeover,
    "retention": retention,
    "latency": latency,
    "answers": live_answers,
    "rebalance": rebalance,
}

if __name__ == "__main__":
    sys.exit(main())
