"""The Produce request of streams has the bytes of aiokafka's own."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.producer import sender
from aiokafka.protocol import produce
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streams.state.changelog.private_names import produce_by
from streams.state.changelog.produce_request import ProduceRequest

topics = st.lists(
    st.tuples(
        st.text(min_size=1, max_size=8),
        st.lists(st.tuples(st.integers(0, 2**31 - 1), st.binary(max_size=20)), max_size=4),
    ),
    max_size=4,
)


@given(st.sampled_from([2, 3, 6, 7]), st.integers(0, 2**31 - 1), topics)
def test_it_is_the_request_that_aiokafka_writes(
    version: int, timeout_ms: int, batches_of: list[tuple[str, list[tuple[int, bytes]]]]
) -> None:
    ours, theirs = (
        kind(transactional_id=None, required_acks=-1, timeout=timeout_ms, topics=batches_of).prepare({0: (0, version)})
        for kind in (ProduceRequest, produce.ProduceRequest)
    )
    assert ours.encode() == theirs.encode()
    assert (ours.API_VERSION, ours.RESPONSE_TYPE) == (theirs.API_VERSION, theirs.RESPONSE_TYPE)


def test_a_producer_makes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new version of aiokafka that makes its requests elsewhere fails here."""
    monkeypatch.setitem(vars(sender), "ProduceRequest", produce.ProduceRequest)
    produce_by(ProduceRequest)
    sending: Any = SimpleNamespace(client=None, _default_backoff=0, _retry_backoff=0, _txn_manager=None, _acks=-1)
    sending._request_timeout_ms = 1
    batch = SimpleNamespace(get_data_buffer=lambda: b"batch")
    handler = sender.SendProduceReqHandler(sending, {TopicPartition("sms.status", 3): batch})
    assert type(handler.create_request()) is ProduceRequest
