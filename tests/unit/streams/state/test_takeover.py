"""The rows that a takeover goes on with, and the ones that it refuses."""

from collections.abc import Mapping
from types import SimpleNamespace

import pytest

from streams.contract.topics import CALLBACKS_RAW
from streams.errors import Exit
from streams.state.changelog.fence import ProducerEpoch
from streams.state.checkpoint import Checkpointer, Owned, Routing, Spec
from streams.state.rows.reserved_keys import PARTITIONS, POSITION
from streams.state.store.stores import MemoryStore
from streams.state.succession import takeover
from tests.support.deaths import Deaths, DiedError
from tests.support.pipeline.toy import ToySmsStage

PARTITION = 3
CLAIMED = 7
"""The offset of the claim."""


class Batches:
    async def send(self, *_: object) -> tuple[int, int]:
        return CLAIMED, CLAIMED


async def take_over(rows: Mapping[bytes, bytes | None], deaths: Deaths, partitions: int) -> Owned:
    """Take a partition over whose changelog has these rows, while the topics have so many partitions."""
    store = MemoryStore()
    store.open(PARTITION)
    store.write(PARTITION, rows, CLAIMED)
    table = Checkpointer(
        Spec("sms", ToySmsStage(), CALLBACKS_RAW, "topic-id", partitions, frozenset()),
        changelog="sms-changelog",
        store=store,
        batches=Batches,  # type: ignore[arg-type]
        routing=Routing(lambda topic: topic.suffix, lambda _, source: source),
        check=lambda: None,
        die=deaths,
        on_step=lambda *_: None,
    )
    taken = takeover.Takeover(table, "group", PARTITION)
    await taken.claim(SimpleNamespace(client=None))
    return taken.finish(begin=0, generation=0)


@pytest.fixture(autouse=True)
def _coordinator(monkeypatch: pytest.MonkeyPatch) -> None:
    async def next_epoch(*_: object) -> ProducerEpoch:
        return ProducerEpoch(1, 0)

    monkeypatch.setattr(takeover, "next_epoch", next_epoch)


@pytest.mark.parametrize("rows", [{}, {POSITION: b"41"}], ids=["new rows", "rows of an earlier version"])
async def test_rows_remember_the_number_of_partitions_from_their_next_checkpoint_on(rows: dict[bytes, bytes]) -> None:
    owned = await take_over(rows, Deaths(), partitions=8)
    assert owned.partition.seal(0.0).rows[PARTITIONS] == b"8"


async def test_rows_of_as_many_partitions_are_gone_on_with_and_not_written_again() -> None:
    owned = await take_over({POSITION: b"41", PARTITIONS: b"8"}, Deaths(), partitions=8)
    assert PARTITIONS not in owned.partition.seal(0.0).rows


@pytest.mark.parametrize("partitions", [4, 12])
async def test_rows_of_another_number_of_partitions_are_refused(partitions: int) -> None:
    deaths = Deaths()
    with pytest.raises(DiedError, match=f"8 partitions, and the topics have {partitions} now"):
        await take_over({POSITION: b"41", PARTITIONS: b"8"}, deaths, partitions)
    assert deaths.codes == [Exit.PARTITIONS_CHANGED]
