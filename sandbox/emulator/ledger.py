"""
The ledger: the truth about a run, as NDJSON. The pipeline must show the state that follows from it.

One line per thing, told apart by `type`, in this order:

- `run`: once, first: seed, options, start of the traffic. The same of these give the same traffic again.
- `campaign`, `sms`: before the first callback about it. An SMS line carries the fields that never change, and in
  `true` the state in which it really ends, whether or not its callbacks come through.
- `callback`: every callback, when it is over with: its content (`kind` is `status`, `report` or `malformed`), and
  `answers`, one per attempt: `{"status": 200, "ms": 3.1}` or `{"error": "timeout", "ms": 2000.0}`. `lost` ones were
  never sent and have no answers; `copy` marks the repetition of an earlier body. An answer that is `swallowed` was
  given on the way: the callback never reached the URL.
- `sms-state`, `campaign-state`, `end`: written when the run ends: the state that follows from the callbacks answered
  200. Readers derive it from the lines above when the emulator was killed.

Lines are handed to the operating system at least every 256 callbacks and whenever the sender says so: a killed emulator
loses the lines of its last moment, and may have sent callbacks that no line names.
"""

from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import orjson

from sandbox.emulator.errors import LedgerError
from sandbox.emulator.oracle import CampaignState, Line, Oracle, SmsState
from sandbox.emulator.traffic.bodies import iso
from sandbox.emulator.traffic.model import Callback, Campaign, Malformed, Message, Part, Report, StatusCallback
from sandbox.emulator.traffic.options import TrafficOptions

_BUFFERED_CALLBACKS: Final = 256


class Ledger:
    """Writes a ledger, and keeps the oracle that follows it. Existing files are replaced."""

    def __init__(self, path: Path) -> None:
        self.oracle = Oracle()
        self._file = path.open("wb")
        self._buffer: list[bytes] = []
        self._callbacks = 0

    def open(self, options: TrafficOptions, start: int) -> None:
        """Write the `run` line. The secret in the callback URL is left out."""
        url = options.callback_url.rpartition("/")[0] + "/***"
        self._write({"type": "run", "start": iso(start), **asdict(options), "callback_url": url})
        self.flush()

    def record(self, callback: Callback, answers: list[dict[str, Any]]) -> None:
        """Write one callback that is over with, and the line of its campaign or SMS when that is new."""
        subject = callback.subject
        if isinstance(subject, StatusCallback):
            self._know_message(subject.message)
        elif isinstance(subject, Report):
            self._know_campaign(subject.campaign)
        self._write(callback_line(callback, answers))
        self._callbacks += 1
        if len(self._buffer) >= _BUFFERED_CALLBACKS:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._file.write(b"".join(self._buffer))
        self._file.flush()
        self._buffer.clear()

    def close(self, *, complete: bool) -> None:
        """Write the states that follow from the callbacks, and end the file. `complete` says nothing was left out."""
        for line in _states(self.oracle):
            self._put(line)
        self._put({"type": "end", "complete": complete, "callbacks": self._callbacks, "accepted": self.oracle.accepted})
        self.flush()
        self._file.close()

    def _know_campaign(self, campaign: Campaign) -> None:
        if campaign.tracking_id not in self.oracle.campaigns:
            self._write(campaign_line(campaign))

    def _know_message(self, message: Message) -> None:
        if message.sms_key(message.parts[0]) in self.oracle.sms:
            return
        if message.campaign:
            self._know_campaign(message.campaign)
        for part in message.parts:
            self._write(sms_line(message, part))

    def _write(self, line: dict[str, Any]) -> None:
        self._put(line)
        self.oracle.take(line)

    def _put(self, line: dict[str, Any]) -> None:
        self._buffer.append(orjson.dumps(line, default=str) + b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._file.closed:
            self.close(complete=False)


def read_ledger(path: Path, *, backfilled: bool = False, watched: bool = False) -> Oracle:
    """
    Return the oracle of a ledger; a last line that was cut off by a kill is passed over.

    With `backfilled`, Routee was asked for what no callback told; with `watched`, also while they came. Raises
    LedgerError for a file that is none, and OSError when it can not be read.
    """
    oracle = Oracle(backfilled=backfilled, watched=watched)
    for number, line in _lines(path):
        try:
            oracle.take(line)
        except (KeyError, TypeError) as error:
            raise LedgerError(f"{path}:{number} is no line of a ledger ({error!r})") from error
    if not oracle.run:
        raise LedgerError(f"{path} is no ledger: it has no line of type `run`")
    oracle.ask_routee()
    return oracle


def _lines(path: Path) -> Iterator[tuple[int, Line]]:
    with path.open("rb") as file:
        for number, text in enumerate(file, 1):
            if not text.endswith(b"\n"):
                return
            try:
                yield number, orjson.loads(text)
            except orjson.JSONDecodeError as error:
                raise LedgerError(f"{path}:{number} is not JSON") from error


def campaign_line(campaign: Campaign) -> dict[str, Any]:
    """Return the constant fields of a campaign."""
    return {
        "type": "campaign",
        "campaign_tracking_id": campaign.tracking_id,
        "name": campaign.name,
        "strategy": campaign.strategy.value,
        "total_recipients": campaign.recipients,
    }


def sms_line(message: Message, part: Part) -> dict[str, Any]:
    """Return the constant fields of an SMS, and its true end. `smsId` and `part` are null when no callback has them."""
    end = part.changes[-1]
    return {
        "type": "sms",
        "sms_key": message.sms_key(part),
        "message_id": message.message_id,
        "sms_id": None if message.legacy else part.sms_id,
        "campaign_tracking_id": message.campaign.tracking_id if message.campaign else None,
        "campaign_name": message.campaign.name if message.campaign else None,
        "part": None if message.legacy else part.number,
        "parts": len(message.parts),
        "label": None if message.legacy else message.occasion.label or None,
        "recipient": message.recipient,
        "sender": message.occasion.sender,
        "country": message.route.country,
        "operator": message.route.operator,
        "groups": message.groups,
        "application_name": message.occasion.application,
        "direction": "Outbound",
        "originating_service": message.occasion.service,
        "message": message.text,
        "true": {"status": end.status.value, "updated_at": iso(end.updated_at), "sms_id": part.sms_id},
    }


def callback_line(callback: Callback, answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the content of one callback, and its answers."""
    return {
        "type": "callback",
        "number": callback.number,
        **_said(callback.subject),
        "copy": callback.copy,
        "lost": callback.lost,
        "answers": answers,
    }


def _said(subject: StatusCallback | Report | Malformed) -> dict[str, Any]:
    if isinstance(subject, StatusCallback):
        return _said_of_sms(subject)
    if isinstance(subject, Report):
        return {
            "kind": "report",
            "campaign_tracking_id": subject.campaign.tracking_id,
            "campaign_status": subject.campaign_status.value,
            "counts": subject.counts,
        }
    return {
        "kind": "malformed",
        "malformed": subject.kind,
        "reasons": subject.reasons,
        "sha256": sha256(subject.body).hexdigest(),
        "body_base64": b64encode(subject.body).decode(),
    }


def _said_of_sms(subject: StatusCallback) -> dict[str, Any]:
    change, legacy = subject.change, subject.message.legacy
    return {
        "kind": "status",
        "sms_key": subject.message.sms_key(subject.part),
        "status": change.status.value,
        "updated_at": iso(change.updated_at),
        "detailed_status": None if legacy else change.detail,
        "status_description": None if legacy else change.description,
        "latency_seconds": change.latency,
        "price": str(change.price),
    }


def _states(oracle: Oracle) -> Iterable[dict[str, Any]]:
    for key, sms in oracle.sms.items():
        yield {"type": "sms-state", "sms_key": key, **_sms_state(sms)}
    counts = oracle.counts()
    for key, campaign in oracle.campaigns.items():
        yield {
            "type": "campaign-state",
            "campaign_tracking_id": key,
            **asdict(counts[key]),
            "price_total": f"{counts[key].price_total:f}",
            "messages_final": counts[key].messages_final,
            "messages_delivered": counts[key].messages_delivered,
            **_reported(campaign),
        }


def _sms_state(sms: SmsState) -> dict[str, Any]:
    state = sms.state
    return {
        "status": state and state["status"],
        "updated_at": state and state["updated_at"],
        "price": state and state["price"],
        "certain": sms.is_certain,
    }


def _reported(campaign: CampaignState) -> dict[str, Any]:
    newest = campaign.newest[-1] if campaign.newest else None
    return {
        "campaign_status": newest and newest["campaign_status"],
        "reported_by_status": newest and newest["counts"],
    }
