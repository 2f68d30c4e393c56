"""
A worker with toy rules, as a process of its own.

Settings come from the environment, as for the product. Faults are injected here, from outside of it:

    crash    [table, step, n]     the process ends right after the n-th time that a table has done a step; the step
                                  `commit`, of no table, is a commit of source offsets
    freeze   [table, step, n]     it freezes (SIGSTOP) there
    hold     [topic suffix, n]    it freezes (SIGSTOP) with its n-th produce request of rows or records to a topic built
                                  and not yet sent
    last     true                 and ends when that one is answered
    skip     [partition, offset]  Faust skips that record of the source and acknowledges it, as around a rebalance
    renew    seconds              it asks for the next epoch of its producer ids this often
    session  seconds              so long its group waits for it when it is gone
    near     records              a partition that lacks more of its rows is restored after the others and loaded past
                                  the memory, and one that lacks no more is at hand before joining
    partial  seconds              counts of a campaign leave a source partition at most this often
    hard     bytes                a partition is flushed once so much waits in it
    look     seconds              it reads new rows of its standby partitions this often
    memory   [text, n]            memory runs out while it reads a body with that text, n times; `rules` is `product`
    gate     [partition, file]    it begins to restore that partition of the SMS when the file exists
    without  [guard, …]           these guards are off: see `streams.state.guards`

`rules` is `product` for the product's own rules.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.producer.sender import SendProduceReqHandler
from faust.transport.drivers.aiokafka import Consumer

import streams.app
from streams.app import Hooks, Stages
from streams.domain import sms_stage
from streams.domain.alarm_stage import AlarmStage
from streams.domain.delivery_stage import DeliveryStage
from streams.domain.routee.bodies import read_body
from streams.errors import StreamsError
from streams.process import run_worker
from streams.program.logline import configure_logging
from streams.program.settings import load_settings
from streams.runtime import app, recovery, table
from streams.settings import StreamsSettings
from streams.state import checkpoint
from streams.state.checkpoint import OnStep, no_step
from streams.state.guards import ALL_GUARDS, Guards
from streams.state.succession import restore as restoring
from streams.state.succession import standby, warm_up
from streams.state.succession.restore import Wanted, restore
from tests.support.pipeline.toy import ToyCampaignStage, ToySmsStage
from tests.support.wait import eventually_async

CRASHED = 99


def main(log: str, environment: dict[str, str], faults: dict[str, Any]) -> None:
    """Work as `routee-streams worker` does, with this environment and these faults, and write to this log."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.environ.update(environment)
    _inject(faults)
    settings = load_settings(StreamsSettings)
    configure_logging("streams", settings)
    on_step: OnStep = no_step
    if "crash" in faults:
        on_step = _at(lambda: os._exit(CRASHED), *faults["crash"])
    if "freeze" in faults:
        on_step = _at(lambda: os.kill(os.getpid(), signal.SIGSTOP), *faults["freeze"])
    _tell_commits(on_step)
    toy = (
        None
        if faults.get("rules") == "product"
        else Stages(ToySmsStage(), ToyCampaignStage(), DeliveryStage(), AlarmStage())
    )
    try:
        run_worker(settings, toy, Hooks(on_step=on_step, guards=_guards(faults.get("without", ()))))
    except StreamsError as error:
        sys.exit(str(error))


def _inject(faults: dict[str, Any]) -> None:
    if "hold" in faults:
        _hold(*faults["hold"], last=faults.get("last", False))
    if "skip" in faults:
        _skip(*faults["skip"])
    if "memory" in faults:
        _run_out_of_memory(*faults["memory"])
    if "gate" in faults:
        _gate(*faults["gate"])
    for fault, module, name in (
        ("renew", checkpoint, "RENEW_SECONDS"),
        ("session", app, "SESSION_SECONDS"),
        ("near", recovery, "NEAR_RECORDS"),
        ("near", warm_up, "AT_HAND_RECORDS"),
        ("near", restoring, "FAR_RECORDS"),
        ("look", standby, "PAUSE_SECONDS"),
        ("partial", streams.app, "_PARTIAL_SECONDS"),
        ("hard", table, "HARD_LIMIT_BYTES"),
    ):
        if fault in faults:
            vars(module)[name] = faults[fault]


def _guards(without: Iterable[str]) -> Guards:
    return replace(ALL_GUARDS, **dict.fromkeys(without, False))


def _at(act: Callable[[], None], table: str, step: str, times: int) -> OnStep:
    left = [times]

    def on_step(its_table: str, its_step: str) -> None:
        if (its_table, its_step) == (table, step):
            left[0] -= 1
            if not left[0]:
                act()

    return on_step


def _tell_commits(on_step: OnStep) -> None:
    commit = Consumer._commit

    async def commit_and_tell(self: Any, offsets: Any) -> bool:  # noqa: ANN401
        done: bool = await commit(self, offsets)
        on_step("", "commit")
        return done

    Consumer._commit = commit_and_tell  # type: ignore[method-assign]


_NO_ROWS_BYTES = 400
"""The largest batch of notes without rows: positions, owners and summaries."""


def _hold(suffix: str, times: int, *, last: bool = False) -> None:
    left, held = [times], []
    create_request, handle_response = SendProduceReqHandler.create_request, SendProduceReqHandler.handle_response

    def create_and_freeze(self: Any) -> Any:  # noqa: ANN401
        request = create_request(self)
        batches = [batch for tp, batch in self._batches.items() if tp.topic.endswith(suffix)]
        if sum(len(batch.get_data_buffer()) for batch in batches) > _NO_ROWS_BYTES:
            left[0] -= 1
            if not left[0]:
                held.append(self)
                os.kill(os.getpid(), signal.SIGSTOP)
        return request

    def handle_and_end(self: Any, response: Any) -> Any:  # noqa: ANN401
        if last and self in held:
            os._exit(CRASHED)
        return handle_response(self, response)

    SendProduceReqHandler.create_request = create_and_freeze
    SendProduceReqHandler.handle_response = handle_and_end


def _skip(number: int, offset: int) -> None:
    to_message = Consumer._to_message

    def of_an_older_generation(self: Any, tp: Any, record: Any) -> Any:  # noqa: ANN401
        message: Any = to_message(self, tp, record)
        if tp.topic.endswith("callbacks.raw") and (tp.partition, record.offset) == (number, offset):
            message.generation_id -= 1
        return message

    Consumer._to_message = of_an_older_generation  # type: ignore[method-assign]


def _run_out_of_memory(text: str, times: int) -> None:
    left = [times]

    def run_out(body: Any, *others: Any) -> Any:  # noqa: ANN401
        if left[0] and text.encode() in msgspec.json.encode(body):
            left[0] -= 1
            raise MemoryError
        return read_body(body, *others)

    vars(sms_stage)["read_body"] = run_out


def _gate(number: int, file: str) -> None:
    async def restore_behind_the_gate(reader: AIOKafkaConsumer, wanted: Wanted) -> int:
        if any(tp.topic.endswith("sms-changelog") and tp.partition == number for tp in wanted):
            await eventually_async(Path(file).exists, 600)
        return await restore(reader, wanted)

    vars(recovery)["restore"] = vars(warm_up)["restore"] = restore_behind_the_gate
