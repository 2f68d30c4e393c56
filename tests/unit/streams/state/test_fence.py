"""The fence notices a batch that was acknowledged without being appended."""

import pytest

from streams.state.changelog.fence import ProducerEpoch, RepeatedBatchError


def test_growing_offsets_are_appended_batches() -> None:
    writer = ProducerEpoch(1, 0)
    for topic, partition, offset in (("a", 0, 0), ("a", 0, 5), ("b", 0, 0), ("a", 1, 2)):
        writer.confirm(topic, partition, offset)


@pytest.mark.parametrize("offset", [-1, 4, 5])
def test_an_offset_that_does_not_grow_is_a_repetition(offset: int) -> None:
    """The broker acknowledges a batch that it mistakes for an earlier one, and appends nothing."""
    writer = ProducerEpoch(1, 0)
    writer.confirm("a", 0, 5)
    with pytest.raises(RepeatedBatchError):
        writer.confirm("a", 0, offset)
