"""
The examples of the schemas: records as the programs write them for Routee's documented callbacks.

`python -m tests.unit.contract.example_records` writes them anew.
"""

from datetime import UTC, datetime
from typing import Any, Final

import orjson

from ingest.callback.body import Rejected, examine
from ingest.callback.envelope import reject, seal
from ingest.callback.redaction import Redactor
from ingest.callback.repair import Repaired, repair
from sinks.rejections import rejection_of
from sinks.source import Record
from streams.contract.codec import encode
from streams.contract.erasures import Erasure, Marks, moment_of
from streams.contract.records import PUBLIC_RECORDS
from streams.contract.schemas import EXAMPLES
from tests.support.markdown import ROOT
from tests.unit.streams.domain.alarms.feed import example_alarms
from tests.unit.streams.domain.pipeline import Pipeline

_REDACTOR: Final = Redactor(["s3cret"])
_FIRST_MS: Final = 1_795_338_000_000
_SENT: Final = ("case1-running", "case2-delivered", "case2-undelivered-expired", "case3-single", "case1-finished")


def example_records() -> dict[str, list[dict[str, Any]]]:
    """Return the examples of each public topic."""
    pipeline, envelopes = Pipeline(), list[bytes]()
    for number, name in enumerate(_SENT):
        envelopes.append(_envelope(_body(name), _FIRST_MS + number * 1_000))
        pipeline.take_in(0, number, envelopes[-1])
        pipeline.settle()
    envelopes.append(_envelope(_body("case3-single")[:-2] + b",}", _FIRST_MS))
    refused = [reject(b"{", *_why(b"{"), _FIRST_MS), reject(b"\xff\xfe\x00", *_why(b"\xff\xfe\x00"), _FIRST_MS)]
    pipeline.take_in(0, len(_SENT), _envelope(_body("other-viber"), _FIRST_MS))
    progress, windows = pipeline.of("campaign.progress"), pipeline.settle_deliveries()
    return {
        "callbacks.raw": [orjson.loads(envelopes[3]), orjson.loads(envelopes[-1])],
        "callbacks.rejected": [*map(orjson.loads, refused), *pipeline.rejections],
        "sms.status": pipeline.revisions,
        "campaign.progress": [progress[0], progress[-1]],
        "delivery.windows": windows,
        "delivery.alarms": example_alarms(),
        "sinks.rejected": [_sink_rejection(pipeline.revisions[0])],
        "erasures": [_erasure()],
    }


def _erasure() -> dict[str, Any]:
    marks = Marks(bytes(32))
    mark = marks.of("+306900000001")
    assert mark is not None
    told: dict[str, Any] = orjson.loads(encode(Erasure(mark=mark, at=moment_of(_FIRST_MS), key_id=marks.key_id)))
    return told


def _body(name: str) -> bytes:
    """Return a sample on one line, as Routee sends it."""
    file = ROOT / "tests" / "samples" / f"{name}.documented.json"
    return orjson.dumps(orjson.loads(file.read_bytes()))


def _envelope(body: bytes, received_at_ms: int) -> bytes:
    examined = examine(body, _REDACTOR)
    if not isinstance(examined, Rejected):
        key, stored = examined
        return seal([stored], [key], received_at_ms).value
    repaired = repair(body, examined, _REDACTOR, len(body))
    assert isinstance(repaired, Repaired)
    return seal([repaired.body], [repaired.key], received_at_ms, {0: repaired.note}).value


def _why(body: bytes) -> tuple[Any, str]:
    examined = examine(body, _REDACTOR)
    assert isinstance(examined, Rejected)
    return examined.reason, examined.detail


def _sink_rejection(record: dict[str, Any]) -> dict[str, Any]:
    value = orjson.dumps(record)
    read = Record("routee.sms.status", 0, 1, _FIRST_MS, value)
    rejection = rejection_of(read, "clickhouse", "sms_inbox", "Code: 36. DB::Exception: …")
    noon = datetime.fromtimestamp(_FIRST_MS / 1000, UTC)
    told: dict[str, Any] = orjson.loads(encode(rejection.model_copy(update={"rejected_at": noon})))
    return told


def written(records: list[dict[str, Any]]) -> bytes:
    """Return examples as they are checked in."""
    return orjson.dumps(records, option=orjson.OPT_INDENT_2) + b"\n"


if __name__ == "__main__":
    EXAMPLES.mkdir(parents=True, exist_ok=True)
    for topic, records in example_records().items():
        assert topic in PUBLIC_RECORDS
        (EXAMPLES / f"{topic}.json").write_bytes(written(records))
