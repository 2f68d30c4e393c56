"""
The stage of the alarms: cells, campaigns and ticks of the whole account in, alarms out. Its rules are in `alarms`.

A record of its source has a line for each cell or campaign that changed, or one tick, or one mute.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar, Final

import orjson

from streams.contract.headers import headers
from streams.contract.topics import DELIVERY_ALARMS, DELIVERY_WATCH
from streams.domain.alarms.watch import AlarmWatch
from streams.domain.lines import RefusedLineError, rejected_line, taken_line
from streams.domain.stage import GENERATION_KEY, Ending, Output, Piece, Rows, Stage


class AlarmStage(Stage):
    """The rules of `track_alarms`; a `Stage`. `thresholds` has the deviance of routes that have one of their own."""

    summarized: ClassVar[tuple[bytes, ...]] = ()

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
                taken_line(at, line, ended, lambda told: outputs.extend(_told(watch, rows, offset, told)))
            except RefusedLineError as why:
                outputs.append(rejected_line(DELIVERY_WATCH, partition, offset, line, why, watch.now_ms))
        yield Piece(outputs, None)

    def summarize(self, rows: Rows, partition: int, changed: Collection[bytes]) -> list[Output]:  # noqa: ARG002
        """Return nothing: each alarm is told when it opens and when it closes."""
        return []


def _told(watch: AlarmWatch, rows: Rows, offset: int, line: dict[str, Any]) -> Iterator[Output]:
    if "cell" in line:
        watch.take_cell(line)
        return
    if "campaign" in line:
        watch.take_campaign(line)
        return
    take = watch.take_mute if "mute" in line else watch.take_tick
    for record in take(line, offset + 1, rows.get(GENERATION_KEY) or 0):
        yield Output(DELIVERY_ALARMS, record["alarm"].encode(), orjson.dumps(record), headers(DELIVERY_ALARMS))
