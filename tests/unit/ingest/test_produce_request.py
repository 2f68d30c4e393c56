"""The Produce request as bytes: the same that aiokafka, which writes it value by value, sends and understands."""

import struct
from io import BytesIO

import pytest
from aiokafka.protocol import produce
from aiokafka.protocol.api import ResponseHeader_v0
from hypothesis import given
from hypothesis import strategies as st

from ingest.kafka.produce_request import ProduceRequest, ProduceResponse

topics = st.dictionaries(
    st.text(min_size=1, max_size=8), st.lists(st.tuples(st.integers(0, 2**31 - 1), st.binary(max_size=20)), max_size=4)
)
outcomes = st.dictionaries(
    st.text(min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 2**31 - 1), st.integers(-1, 90), st.integers(-1, 2**62)), max_size=4),
)


@given(st.integers(0, 2**31 - 1), topics)
def test_it_is_the_request_that_aiokafka_writes(
    timeout_ms: int, batches_of: dict[str, list[tuple[int, bytes]]]
) -> None:
    theirs = produce.ProduceRequest_v7(None, -1, timeout_ms, list(batches_of.items()))
    ours = ProduceRequest(timeout_ms, batches_of)
    assert ours.encode() == theirs.encode()
    header = theirs.build_request_header(correlation_id=7, client_id="routee-ingest")
    assert ours.header(7, "routee-ingest") == header.encode()


@given(st.integers(-(2**31), 2**31 - 1))
def test_the_number_of_a_request_is_read_from_the_header_of_its_answer(number: int) -> None:
    header = ResponseHeader_v0(number)
    read = BytesIO(header.encode() + b"answer")
    assert ProduceRequest(1, {}).parse_response_header(read) == header
    assert read.read() == b"answer"


@given(outcomes)
def test_every_outcome_of_an_answer_is_read(told: dict[str, list[tuple[int, int, int]]]) -> None:
    answer = produce.ProduceResponse_v7(
        [(topic, [(*partition, -1, 0) for partition in partitions]) for topic, partitions in told.items()], 0
    )
    assert ProduceResponse.decode(answer.encode()).outcomes == [
        (topic, partition, code) for topic, partitions in told.items() for partition, code, _ in partitions
    ]


def test_an_answer_that_ends_too_early_is_an_error() -> None:
    answer = produce.ProduceResponse_v7([("callbacks", [(0, 0, 1, -1, 0)])], 0).encode()
    with pytest.raises(struct.error):
        ProduceResponse.decode(answer[:-20])


def test_batches_are_sent_as_they_are() -> None:
    batch = bytes(1000)
    assert any(part is batch for part in ProduceRequest(1, {"callbacks": [(3, batch)]}).parts())


def test_its_text_in_a_log_holds_no_callback() -> None:
    """At level DEBUG, aiokafka writes requests to its log."""
    request = ProduceRequest(1, {"callbacks": [(3, b"a text")]})
    assert repr(request) == "ProduceRequest({'callbacks': [3]})"
