"""
The stage of the alarms: cells and ticks of the whole account in, alarms out. Its rules are in `alarms`.

A record of its source has a line for each cell that changed, or one tick.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

import orjson

from streams.contract.headers import headers
from streams.contract.personal import Kept
from streams.contract.records import Reason
from streams.contract.topics import DELIVERY_ALARMS, DELIVERY_WATCH
from streams.domain.alarms.watch import AlarmWatch
from streams.domain.refusal import Refusal
from streams.domain.rejection import rejection
from streams.domain.stage import GENERATION_KEY, Ending, Output, Piece, Rows, UnfinishedError


class AlarmStage:
    """The rules of `track_alarms`; a `Stage`. `thresholds` has the deviance of routes that have one of their own."""

    summarized: ClassVar[tuple[bytes, ...]] = ()
    forgettable: ClassVar[bytes | None] = None

    def __init__(self, thresholds: Mapping[str, float] | None = None) -> None:
        self._thresholds: Final = thresholds or {}

    def apply(  # noqa: PLR0913, PLR0917 - as in Stage
        self, rows: Rows, partition: int, offset: int, value: bytes, begin: int = 0, ended: Ending | None = None
    ) -> Iterator[Piece]:
        """Take in one record of the watch topic, as one piece: its lines from `begin` on."""
        watch = AlarmWatch(rows, self._thresholds)
        outputs: list[Output] = []
        for at, line in enumerate(value.split(b"\n")[begin:], begin):
            try:
                if ended is not None and ended.at in (None, at):
                    raise ValueError(f"it ended a worker {ended.times} times in a row")  # noqa: TRY301 - rejected below
                outputs += _told(watch, rows, offset, orjson.loads(line))
            except (MemoryError, RecursionError) as error:
                raise UnfinishedError(at) from error
            except Exception as error:  # noqa: BLE001
                # We wrote this topic: an unreadable line was written by a bug, and must not stop the others.
                outputs.append(_rejected(error, partition, offset, line, watch.now_ms))
        yield Piece(outputs, None)

    def summarize(self, rows: Rows, partition: int, changed: Collection[bytes]) -> list[Output]:  # noqa: ARG002
        """Return nothing: each alarm is told when it opens and when it closes."""
        return []

    def forget(self, rows: Rows, keys: Iterable[bytes]) -> int:  # noqa: ARG002
        """Delete no row: `apply` deletes the rows of routes that are watched no more."""
        return 0


def _told(watch: AlarmWatch, rows: Rows, offset: int, line: dict[str, Any]) -> Iterator[Output]:
    if "cell" in line:
        watch.take_cell(line)
        return
    generation = rows.get(GENERATION_KEY) or 0
    for record in watch.take_tick(line, offset + 1, generation):
        yield Output(DELIVERY_ALARMS, record["alarm"].encode(), orjson.dumps(record), headers(DELIVERY_ALARMS))


def _rejected(error: Exception, partition: int, offset: int, line: bytes, now_ms: int) -> Output:
    detail = f"{type(error).__name__} for offset {offset} of {DELIVERY_WATCH.suffix}[{partition}]"
    return rejection(Refusal(Reason.BUG, detail), Kept(line, redacted=False), now_ms, None)
