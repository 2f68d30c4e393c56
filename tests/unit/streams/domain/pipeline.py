"""
The stages over rows in memory, as the runtime drives them; every output is checked against its model and schema.
"""

from collections.abc import Iterable
from typing import Any

import orjson
from jsonschema_rs import Draft202012Validator

from streams.contract.records import PUBLIC_RECORDS
from streams.contract.schemas import FOLDER
from streams.contract.topics import CAMPAIGN_PARTIALS, DELIVERY_PARTIALS, DELIVERY_WATCH
from streams.domain.campaign_stage import CampaignStage
from streams.domain.delivery_stage import DeliveryStage
from streams.domain.policy import Policy
from streams.domain.sms_stage import SmsStage
from streams.domain.stage import Output
from streams.domain.tally import Tally, read_tally
from streams.domain.views import campaign_key, campaign_view, message_key, message_view
from tests.builders import CAMPAIGN_ID, MESSAGE_ID, NOW, envelope
from tests.support.memory_rows import MemoryRows, outputs_of

_SCHEMAS = {
    topic: Draft202012Validator(orjson.loads((FOLDER / f"{topic}.json").read_bytes())) for topic in PUBLIC_RECORDS
}


def checked(output: Output) -> dict[str, Any]:
    """Return the value of an output after checking it against its model, schema and key."""
    value: dict[str, Any] = orjson.loads(output.value)
    model = PUBLIC_RECORDS.get(output.topic.suffix)
    if model is not None:
        _SCHEMAS[output.topic.suffix].validate(value)
        assert value.keys() == model.model_fields.keys()
        assert orjson.loads(model.model_validate(value).model_dump_json()).keys() == value.keys()
    key = {
        "sms.status": "sms_key",
        "campaign.progress": "campaign_tracking_id",
        "delivery.windows": "cell",
        "delivery.alarms": "alarm",
    }.get(output.topic.suffix)
    assert key is None or output.key == value[key].encode()
    assert dict(output.headers) == expected_headers(output.topic.suffix, value)
    return value


def expected_headers(suffix: str, value: dict[str, Any]) -> dict[str, bytes]:
    """Return the headers that the contract names for a record."""
    if suffix not in PUBLIC_RECORDS:
        return {}
    found = {"type": suffix.encode(), "schema": f"{suffix}/1".encode()}
    if "is_final" in value:
        found["final"] = b"1" if value["is_final"] else b"0"
    campaign = value.get("campaign_tracking_id")
    return found if campaign is None else found | {"campaign": campaign.encode()}


def partials_in(outputs: Iterable[Output]) -> list[bytes]:
    """Return the lines about campaigns among outputs."""
    return [output.value for output in outputs if output.topic is CAMPAIGN_PARTIALS]


def newest_of_message(records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the state of a message as its newest record has it, of all its records on the topic."""
    newest = max(records, key=lambda record: (record["generation"], record["message_revision"]))
    return {name: value for name, value in newest.items() if name.startswith("message_")}


def now(record: dict[str, Any], records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the last record of an SMS as HTTP answers it: with the state of its message as it is by now."""
    same = [one for one in records if one["message_id"] == record["message_id"]]
    return {**record, **newest_of_message(same)}


class Pipeline:
    """Stage 1 over some partitions, the ones that merge over one each; source offsets count from 0."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.sms_stage = SmsStage(policy or Policy())
        self.campaign_stage = CampaignStage()
        self.delivery_stage = DeliveryStage()
        self.sms_rows: dict[int, MemoryRows] = {}
        self.campaign_rows = MemoryRows()
        self.delivery_rows = MemoryRows()
        self.cells_told: list[bytes] = []
        self.watched: list[bytes] = []
        self._cells_taken = 0
        self.log: list[tuple[int, int, bytes]] = []
        self.outputs: list[tuple[str, dict[str, Any]]] = []
        self.partials: list[bytes] = []
        self.partials_taken = 0

    def send(self, *callbacks: Any, received_at: str = NOW, partition: int = 0) -> list[dict[str, Any]]:  # noqa: ANN401
        """Take in one envelope; return the public records it produced."""
        return self.take_in(partition, len(self.log), envelope(*callbacks, received_at=received_at))

    def take_in(self, partition: int, offset: int, value: bytes) -> list[dict[str, Any]]:
        """Take in one raw record; return the public records it produced."""
        self.log.append((partition, offset, value))
        rows = self.sms_rows.setdefault(partition, MemoryRows())
        return self.collected(outputs_of(self.sms_stage.apply(rows, partition, offset, value)))

    def collected(self, outputs: list[Output]) -> list[dict[str, Any]]:
        """Note outputs; return the public records among them."""
        public = []
        for output in outputs:
            value = checked(output)
            if output.topic is CAMPAIGN_PARTIALS:
                self.partials.append(output.value)
            elif output.topic is DELIVERY_PARTIALS:
                self.cells_told.append(output.value)
            elif output.topic is DELIVERY_WATCH:
                self.watched.append(output.value)
            else:
                self.outputs.append((output.topic.suffix, value))
                public.append(value)
        return public

    def settle(self) -> list[dict[str, Any]]:
        """Flush both stages; return the progress records."""
        for partition, rows in self.sms_rows.items():
            self.collected(self.sms_stage.summarize(rows, partition, rows.changed))
            rows.changed.clear()
        return self.settle_campaigns()

    def settle_campaigns(self) -> list[dict[str, Any]]:
        """Take in the partials that stage 2 has not seen yet, and flush it."""
        for value in self.partials:
            self.take_partials(value)
        self.partials.clear()
        outputs = self.campaign_stage.summarize(self.campaign_rows, 0, self.campaign_rows.changed)
        self.campaign_rows.changed.clear()
        return self.collected(outputs)

    def settle_deliveries(self) -> list[dict[str, Any]]:
        """Flush all stages; return the records of the cells that changed."""
        self.settle()
        value, self.cells_told = b"\n".join(self.cells_told), []
        if value:
            self._cells_taken += 1
            self.collected(outputs_of(self.delivery_stage.apply(self.delivery_rows, 0, self._cells_taken - 1, value)))
        outputs = self.delivery_stage.summarize(self.delivery_rows, 0, self.delivery_rows.changed)
        self.delivery_rows.changed.clear()
        return self.collected(outputs)

    def take_partials(self, value: bytes) -> list[dict[str, Any]]:
        """Take in one record of the partials topic."""
        self.partials_taken += 1
        return self.collected(
            outputs_of(self.campaign_stage.apply(self.campaign_rows, 0, self.partials_taken - 1, value))
        )

    def of(self, topic: str) -> list[dict[str, Any]]:
        """Return everything produced to a topic."""
        return [value for suffix, value in self.outputs if suffix == topic]

    @property
    def revisions(self) -> list[dict[str, Any]]:
        return self.of("sms.status")

    @property
    def rejections(self) -> list[dict[str, Any]]:
        return self.of("callbacks.rejected")

    def message(self, message_id: str = MESSAGE_ID, partition: int = 0) -> dict[str, Any]:
        """Return the view of a message."""
        view = message_view(self.sms_rows[partition], message_key(message_id))
        assert view is not None
        return view

    def sms(self, message_id: str = MESSAGE_ID, partition: int = 0) -> dict[str, Any]:
        """Return the only SMS of a message."""
        (sms,) = self.message(message_id, partition)["sms"]
        return dict(sms)

    def campaign(self, campaign: str = CAMPAIGN_ID) -> dict[str, Any]:
        """Flush, and return the view of a campaign."""
        self.settle()
        view = campaign_view(self.campaign_rows, campaign_key(campaign))
        assert view is not None
        return view

    def tally(self, partition: int = 0) -> Tally:
        return read_tally(self.sms_rows[partition])

    @property
    def verdicts(self) -> dict[str, int]:
        return self.tally()["verdicts"]
