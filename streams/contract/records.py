"""
The values on the public topics, as models that readers can rely on; the JSON Schemas are generated from them.

Hot paths write these shapes directly with orjson or msgspec; tests check every value they write against the models.
Fields may be added; none is renamed or removed. Readers must ignore unknown fields.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from streams.contract.codec import format_time

Time = Annotated[
    datetime,
    PlainSerializer(format_time, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}),
]
"""A moment in UTC, in milliseconds."""

Money = Annotated[
    Decimal,
    PlainSerializer(lambda amount: format(amount, "f"), return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^-?\d{1,10}(\.\d{1,8})?$"}),
]
"""An amount in the account's currency (Routee names none), with up to 8 decimals, as text."""

_EXACT = 2**53 - 1
"""The greatest whole number that every reader of JSON keeps exactly."""

Counts = dict[str, Annotated[int, Field(ge=0)]]
"""Status → number of messages or parts in it; a status with none is left out."""


class Record(BaseModel):
    """Base of all records: immutable; unknown fields of a newer writer are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class RefusedBy(StrEnum):
    """Which program refused a callback."""

    INGEST = "ingest"
    STREAMS = "streams"


class Reason(StrEnum):
    """Why a callback was refused."""

    NOT_JSON = "not-json"
    NOT_OBJECT = "not-object"
    NO_KEY = "no-key"
    UNKNOWN_SHAPE = "unknown-shape"
    INVALID_FIELD = "invalid-field"
    TOO_DEEP = "too-deep"
    EXPIRED = "expired"
    BUG = "bug"


class Repair(StrEnum):
    """
    The part of a body that had to be repaired before it could enter an envelope.

    `byte-order-mark`: marks before the text, left out; `encoding`: UTF-16 or UTF-32; `compression`: gzip or zlib that
    no header named, or a header without it; `wrapping`: the object stood in an array, a text, a form or base64;
    `surroundings`: other bytes around the object, left out; `replaced`: characters that cannot be read, now U+FFFD;
    `control-character`: written as an escape; `escape`: an escape that JSON does not know; `quotes`: quote marks that
    are not JSON's, or stood unescaped in a text; `syntax`: a comma too many, a comment, odd white space; `value`: a
    number or word that JSON does not know, now a text or null; `id-as-number`: an id that was a number, now its
    digits as text; `unreadable-id`: `smsId` or `campaignTrackingId`, left out; `too-deep`: a field nested too deep,
    left out; `cut`: the end is missing; `damaged`: the end cannot be read.
    """

    BYTE_ORDER_MARK = "byte-order-mark"
    ENCODING = "encoding"
    COMPRESSION = "compression"
    WRAPPING = "wrapping"
    SURROUNDINGS = "surroundings"
    REPLACED = "replaced"
    CONTROL_CHARACTER = "control-character"
    ESCAPE = "escape"
    QUOTES = "quotes"
    SYNTAX = "syntax"
    VALUE = "value"
    ID_AS_NUMBER = "id-as-number"
    UNREADABLE_ID = "unreadable-id"
    TOO_DEEP = "too-deep"
    CUT = "cut"
    DAMAGED = "damaged"


class Reconciliation(StrEnum):
    """
    Comparison of the final statuses derived from SMS callbacks with the final statuses in Routee's reports.

    `unreported`: no report came, or none with a number above zero; `underived`: only reports came; `undecided`: the
    reports do not tell yet whether they count messages or parts; then, in the unit that they count: `consistent`:
    equal; `behind`: fewer derived than reported; `ahead`: more; `mixed`: both, in different statuses.
    """

    UNREPORTED = "unreported"
    UNDERIVED = "underived"
    UNDECIDED = "undecided"
    CONSISTENT = "consistent"
    BEHIND = "behind"
    AHEAD = "ahead"
    MIXED = "mixed"


class Unit(StrEnum):
    """The unit of a campaign's reported counts. Routee does not name it; it follows from the reports alone."""

    MESSAGES = "messages"
    PARTS = "parts"


class Source(StrEnum):
    """
    How a status came to us.

    `callback`: Routee posted it; `pull`: we asked Routee for it; `redrive`: Routee posted it, it was refused, and later
    on it was taken in after all.
    """

    CALLBACK = "callback"
    PULL = "pull"
    REDRIVE = "redrive"


class RepairedCallback(Record):
    """A callback that ingest repaired, as its envelope notes it."""

    index: int = Field(ge=0, description="its place in `callbacks`, from 0")
    repairs: list[Repair] = Field(description="the repairs that were made")
    original: str | None = Field(
        description="the bytes as Routee sent them, in base64; null when a secret in them could not be masked"
    )


class Envelope(Record):
    """
    `routee.callbacks.raw`: callbacks of one partition, in order of arrival.

    Each is byte for byte as Routee sent it, but for the repaired ones, whose own bytes stand beside them.
    """

    received_at: Time = Field(description="time of receipt of the first callback in it")
    callbacks: list[dict[str, Any]] = Field(
        min_length=1, description="bodies in order of arrival, all of this partition"
    )
    repaired: list[RepairedCallback] = Field(
        default=[], description="the callbacks that were repaired; missing when none was"
    )
    source: Source = Field(default=Source.CALLBACK, description="how the bodies came; missing when Routee posted them")
    attempt: int | None = Field(
        default=None, ge=1, description="of a redrive: how often it was redriven, this time included; else missing"
    )
    first_received_at: Time | None = Field(
        default=None, description="of a redrive: time of receipt when Routee posted the bodies; else missing"
    )
    rejected: list[Annotated[list[int], Field(min_length=2, max_length=2)]] = Field(
        default=[],
        description="of a redrive: [partition, offset] in callbacks.rejected of the rejection of each callback; else "
        "missing",
    )


class SentFrom(StrEnum):
    """
    The value that tells when an SMS was sent, the first of these that can be.

    `queued`: `queued_at`; `sent`: `sent_at`; `latency`: `final_at` less the latency; `status`: `status_updated_at`;
    `receipt`: the time of receipt of the first callback, because all others lie after the receipt.
    """

    QUEUED = "queued"
    SENT = "sent"
    LATENCY = "latency"
    STATUS = "status"
    RECEIPT = "receipt"


class SmsStatus(Record):
    """`routee.sms.status`: one SMS (a part of a message) after one applied change."""

    sms_key: str = Field(description="smsId; when absent, {messageId}#{part or 1}. Never changes once given")
    message_id: str = Field(
        description="Routee's id of the message; all its parts share it, in the case of the first callback"
    )
    sms_id: str | None = Field(description="Routee's id of this part")
    campaign_tracking_id: str | None = Field(description="null for the Single API")
    campaign_name: str | None = Field(description="name of the campaign")
    part: int | None = Field(description="place of this part in the message, from 1 to 255")
    parts: int | None = Field(description="how many parts the message has, from 1 to 255")
    label: str | None = Field(description="the sender's own label of the message")
    recipient: str | None = Field(description="phone number, as STREAMS_RECIPIENT leaves it")
    sender: str | None = Field(description="number or name that the message came from")
    country: str | None = Field(description="Routee's code of the recipient's country")
    operator: str | None = Field(description="name of the recipient's operator")
    groups: list[str] = Field(description="groups of contacts that the recipient is in")
    status: str = Field(description="Routee's word in Routee's spelling; unknown words as they came")
    previous_status: str | None = Field(description="the status before this change; null for the first")
    is_final: bool = Field(description="true when status is Delivered, Undelivered, Failed or Unsent")
    detailed_status: str | None = Field(description="Routee's reason; a later callback without one does not erase it")
    status_description: str | None = Field(description="the same in a sentence")
    status_updated_at: Time = Field(description="Routee's time; the time of receipt when it gave none")
    queued_at: Time | None = Field(description="Routee's time of Queued, when it was seen")
    sent_at: Time | None = Field(description="Routee's time of Sent, when it was seen")
    final_at: Time | None = Field(description="Routee's time of the final status; null without one")
    latency_seconds: float | None = Field(description="seconds from sending to the handset, from 0 to 30 days")
    price: Money | None = Field(description="of this part in the account's currency, as of the latest applied callback")
    application_name: str | None = Field(description="name of the application at Routee")
    direction: str | None = Field(description="Routee's word, for example Outbound")
    originating_service: str | None = Field(description="Routee's word, for example Sms")
    message: str | None = Field(
        description="the text; null with STREAMS_MESSAGE_TEXT=drop, and always null for TwoStep"
    )
    revision: int = Field(ge=1, description="1, 2, 3 … per SMS: how many changes were applied")
    conflicts: int = Field(ge=0, description="how often a different final status came after a final one")
    first_received_at: Time = Field(description="time of receipt of the first callback about this SMS")
    received_at: Time = Field(description="of the callback that made this revision")
    partition: int = Field(ge=0, description="where that callback lies in routee.callbacks.raw")
    offset: int = Field(ge=0, description="offset of the record that has that callback")
    index: int = Field(ge=0, description="its place in that envelope, from 0")
    generation: int = Field(
        default=0,
        ge=0,
        le=_EXACT,
        description="grows when revisions begin again: the highest (generation, revision) is the newest; 0 if missing",
    )
    message_status: str | None = Field(
        default=None, description="of the whole message after this change, as all message_ fields"
    )
    message_previous_status: str | None = Field(
        default=None, description="before this change; null for the first of the message"
    )
    message_is_final: bool | None = Field(default=None, description="true when all its parts are final")
    message_parts: int | None = Field(
        default=None, ge=1, description="how many SMS the message has, as far as is known"
    )
    message_parts_seen: int | None = Field(default=None, ge=1, description="how many of them a callback came for")
    message_latency_seconds: float | None = Field(default=None, description="of its slowest SMS")
    message_price: Money | None = Field(default=None, description="the sum over its SMS")
    message_revision: int | None = Field(
        default=None,
        ge=1,
        description="1, 2, 3 … per message; its newest state has the highest (generation, message_revision)",
    )
    sending_at: Time | None = Field(
        default=None, description="when it was sent, as well as its callbacks tell; never after the receipt"
    )
    sent_from: SentFrom | None = Field(default=None, description="the value that tells sending_at")
    source: Source = Field(
        default=Source.CALLBACK, description="how the callback that made this revision came; callback if missing"
    )


class CampaignProgress(Record):
    """`routee.campaign.progress`: one campaign, Routee's own numbers beside the derived ones."""

    campaign_tracking_id: str = Field(description="Routee's id of the campaign")
    name: str | None = Field(description="name of the campaign; null until it is known")
    campaign_status: str | None = Field(description="Routee's own; null until a report came")
    strategy: str | None = Field(description="callbackInfo.strategy of the reports")
    total_recipients: int | None = Field(description="from the reports")
    messages: int = Field(ge=0, description="distinct messageIds seen through SMS callbacks")
    messages_final: int = Field(ge=0, description="of these, how many are final")
    messages_delivered: int = Field(ge=0, description="of these, how many are delivered")
    messages_by_status: Counts = Field(
        description="a message has the status of its least advanced part, and the worst when all are final"
    )
    parts: int = Field(ge=0, description="distinct SMS seen through SMS callbacks")
    parts_by_status: Counts = Field(description="status → number of parts in it; a status with none is left out")
    reported_by_status: Counts | None = Field(description="the newest report's messageStatuses")
    progress: float | None = Field(
        ge=0, le=1, description="final messages over all, from 0 to 1; null while nothing tells how many there are"
    )
    delivery_rate: float | None = Field(ge=0, le=1, description="delivered over final")
    price_total: Money = Field(description="once per part")
    reconciliation: Reconciliation = Field(description="derived final statuses held against the reported ones")
    reconciliation_unit: Unit | None = Field(description="of the reported counts; null where nothing is compared")
    drift: dict[str, int] = Field(
        description="derived less reported per final status (Finished: and per unknown word), zeros left out"
    )
    is_final: bool = Field(description="true when reported as finished or failed, or when all recipients are final")
    conflicts: int = Field(
        ge=0, description="of all its SMS: how often a different final status came after a final one"
    )
    stale_reports: int = Field(ge=0, description="reports that came after a newer one")
    first_received_at: Time = Field(description="time of receipt of the first callback or report about it")
    last_received_at: Time = Field(description="time of receipt of the last one")
    finished_at: Time | None = Field(description="time of receipt of the callback or report that made it final")
    revision: int = Field(ge=1, description="grows with every record of this campaign")
    unordered_reports: int | None = Field(
        ge=0, description="reports with other values than one before, neither of them certainly newer"
    )
    generation: int = Field(
        default=0,
        ge=0,
        le=_EXACT,
        description="grows when revisions begin again: the highest (generation, revision) is the newest; 0 if missing",
    )


class DeliveryWindow(Record):
    """
    `routee.delivery.windows`: the SMS that were sent in five minutes on one route; it is called a cell.

    Each SMS counts in one cell; it moves when its dates or details change, so the counts of a cell may fall to zero.
    Where a window has very many cells, `other` stands for the label, then the sender, the operator and the country.
    """

    cell: str = Field(description="key of the record: number of the window, a colon, and the six values as JSON")
    window_start: Time = Field(description="sent at this moment or later, by `sending_at` of `routee.sms.status`")
    window_end: Time = Field(description="and before this moment: five minutes later")
    country: str | None = Field(description="Routee's code of the recipient's country; null, also below: not known")
    operator: str | None = Field(description="name of the recipient's operator")
    sender: str | None = Field(description="number or name that the SMS came from")
    application_name: str | None = Field(description="name of the application at Routee")
    originating_service: str | None = Field(description="Routee's word, for example Sms")
    label: str | None = Field(description="the sender's own label of the SMS")
    messages: int = Field(ge=0, description="messages whose first part counts in this cell")
    messages_by_status: Counts = Field(description="of them; a status with none is left out")
    parts: int = Field(ge=0, description="SMS; a message of several parts is several")
    parts_by_status: Counts = Field(description="of them; a status with none is left out")
    conflicts: int = Field(ge=0, description="of its SMS: how often a different final status came after a final one")
    delivered_by_latency: Counts = Field(
        description="delivered parts by latency: the least of 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, "
        "14400, 43200 and 86400 s that it does not exceed, else `more`; parts without a latency are left out"
    )
    price_total: Money = Field(description="of its parts")
    price_delivered: Money = Field(description="of its delivered parts")
    price_undelivered: Money = Field(description="of its parts that are final and not delivered")
    unpriced: int = Field(ge=0, description="parts without a price")
    is_closed: bool = Field(
        description="true when its counts stay as they are: later changes of its SMS are only in `routee.sms.status`"
    )
    revision: int = Field(ge=1, description="grows with every record of this cell")
    generation: int = Field(
        ge=0,
        le=_EXACT,
        description="grows when revisions begin again: the highest (generation, revision) is the newest",
    )


class AlarmKind(StrEnum):
    """
    The kinds of alarms.

    `delivery-drop`: far fewer SMS are delivered in time than are usual at this hour; `latency-rise`: they are delivered
    later; `route-quiet`: far fewer deliveries are told of a route whose SMS are told only when they are final;
    `campaign-hanging`: far fewer SMS of a campaign are final than its reports let expect; `silence`: no callbacks of
    the whole account come.
    """

    DELIVERY_DROP = "delivery-drop"
    LATENCY_RISE = "latency-rise"
    ROUTE_QUIET = "route-quiet"
    CAMPAIGN_HANGING = "campaign-hanging"
    SILENCE = "silence"


class AlarmScope(StrEnum):
    """Whose fault an alarm tells: a route's, one sender's list on a route, one campaign's, or the whole account's."""

    ROUTE = "route"
    SENDER = "sender"
    CAMPAIGN = "campaign"
    ACCOUNT = "account"


class AlarmLevel(StrEnum):
    """`suspected` is to be shown, and wakes no people; it may become an `alarm`."""

    SUSPECTED = "suspected"
    ALARM = "alarm"


class DeliveryAlarm(Record):
    """`routee.delivery.alarms`: an alarm when it opens, and when it closes."""

    alarm: str = Field(description="key of the record: kind, a colon, subject")
    kind: AlarmKind = Field(description="the kind of the alarm")
    subject: str = Field(
        description="country, operator and, for a sender, the sender as JSON; `campaign:` and its id; `account`"
    )
    scope: AlarmScope = Field(description="whose fault it tells")
    country: str | None = Field(
        description="of the route; null for a campaign and the account, and when it is not known"
    )
    operator: str | None = Field(description="likewise")
    sender: str | None = Field(description="the sender whose list it is; empty for SMS without one; else null")
    level: AlarmLevel = Field(description="suspected, or an alarm")
    is_open: bool = Field(description="true from its opening until it closes")
    opened_at: Time = Field(description="minute of the judgement")
    closed_at: Time | None = Field(description="null while it is open")
    closed_because: str | None = Field(
        description="recovered; new normal: it has lasted a day and is the usual from now on; no traffic; widened: "
        "another sender shows it, too; told as the account's; …"
    )
    muted_until: Time | None = Field(
        description="while its subject is muted: until when its notices are withheld, else null"
    )
    since: Time = Field(
        description="begin of the first window of sending that shows it, minute of that report, or the last callback"
    )
    until: Time | None = Field(
        description="end of the last window of sending that was judged, or minute of that report; else null"
    )
    observed: float = Field(
        description="share of SMS; for route-quiet and silence a number, for the account routes or campaigns"
    )
    expected: float = Field(description="the same in ordinary times")
    n: int = Field(ge=0, description="SMS that were judged")
    only_sender: bool = Field(description="true when no other sender has SMS enough to tell the list from the route")
    routes: list[list[str]] = Field(description="country and operator of each route that an account's alarm stands for")
    judged: dict[str, float] = Field(description="all numbers of the judgement; names may be added")
    why: str = Field(description="one sentence for people")
    revision: int = Field(ge=1, description="grows with every record of this alarm")
    generation: int = Field(
        ge=0,
        le=_EXACT,
        description="grows when revisions begin again: the highest (generation, revision) is the newest",
    )


class Rejection(Record):
    """`routee.callbacks.rejected`: bytes that were refused, why, and where they came from."""

    received_at: Time = Field(description="time of receipt of the bytes")
    stage: RefusedBy = Field(description="the program that refused them")
    reason: Reason = Field(description="why they were refused")
    detail: str = Field(description="the field and the expected form; never a message text or a full phone number")
    body: str | None = Field(description="the bytes as text; null when body_base64 has them")
    body_base64: str | None = Field(description="the bytes when they are not UTF-8, or too long as JSON text")
    partition: int | None = Field(description="where it lies in routee.callbacks.raw; null at stage ingest")
    offset: int | None = Field(description="offset of its record there; null at stage ingest")
    index: int | None = Field(description="its place in that envelope, from 0; null at stage ingest")
    redacted: bool = Field(
        default=False,
        description="numbers, texts or a one-time code were taken out of the bytes, or all bytes; false if missing",
    )


class SinkRejection(Record):
    """`routee.sinks.rejected`: a record that a sink could not write, with the store's own words."""

    rejected_at: Time = Field(description="time of the refusal")
    sink: str = Field(description="clickhouse or files")
    table: str = Field(description="table that the row was meant for")
    error: str = Field(description="the store's own words")
    topic: str = Field(description="topic of the record")
    partition: int = Field(description="partition of the record")
    offset: int = Field(description="offset of the record")
    value: str | None = Field(description="the record's value as text; null when value_base64 has it")
    value_base64: str | None = Field(description="the value when it is not UTF-8, or too long as JSON text")


class Erasure(Record):
    """`routee.erasures`: everything of one recipient from before a moment is erased. It has no number."""

    mark: str = Field(
        min_length=64, max_length=64, description="HMAC-SHA256 of the recipient under ERASURE_KEY, in hex"
    )
    at: Time = Field(description="an SMS that was first received, or dated by Routee, before this moment is covered")
    key_id: str = Field(
        min_length=16, max_length=16, description="tells one ERASURE_KEY from another, and gives none away"
    )


PUBLIC_RECORDS: dict[str, type[Record]] = {
    "callbacks.raw": Envelope,
    "callbacks.rejected": Rejection,
    "sms.status": SmsStatus,
    "campaign.progress": CampaignProgress,
    "delivery.windows": DeliveryWindow,
    "delivery.alarms": DeliveryAlarm,
    "sinks.rejected": SinkRejection,
    "erasures": Erasure,
}
"""Topic without its prefix → the model of its values."""
