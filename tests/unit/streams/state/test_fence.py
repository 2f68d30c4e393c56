"""A batch that is acknowledged without being appended is noticed."""

import pytest

from streams.state.changelog.fence import ProducerEpoch, RepeatedBatchError


def test_offsets_that_grow_are_those_of_batches_that_were_appended() -> None:
    writer = ProducerEpoch(1, 0)
    for topic, partition, offset in (("a", 0, 0), ("a", 0, 5), ("b", 0, 0), ("a", 1, 2)):
        writer.confirm(topic, partition, offset)


@pytest.mark.parametrize("offset", [-1, 4, 5])
def test_an_offset_that_does_not_grow_is_that_of_a_repetition(offset: int) -> None:
    """The broker acknowledges a batch that it takes for an earlier one, and appends nothing."""
    writer = ProducerEpoch(1, 0)
    writer.confirm("a", 0, 5)
    with pytest.raises(RepeatedBatchError):
        writer.confirm("a", 0, offset)
