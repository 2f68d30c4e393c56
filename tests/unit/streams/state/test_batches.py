"""Cutting outputs into several batches where they need not be one."""

from typing import Any

from aiokafka.record.default_records import DefaultRecordBatch

from streams.contract.headers import NO_HEADERS, Headers
from streams.contract.topics import CAMPAIGN_PARTIALS, SMS_STATUS
from streams.domain.stage import Output
from streams.state.changelog.batches import _chunks, _of_outputs, bundled


def output(key: bytes | None, value: bytes, headers: Headers = NO_HEADERS) -> Output:
    return Output(SMS_STATUS, key, value, headers)


def test_few_outputs_are_one_batch() -> None:
    outputs = [output(b"a", b"1"), output(None, b"2")]
    assert list(_chunks(outputs)) == [outputs]


def test_no_output_is_lost_or_moved_when_there_are_many() -> None:
    outputs = [output(b"%d" % number, b"x" * 1000) for number in range(2000)]
    chunks = list(_chunks(outputs))
    assert len(chunks) > 1
    assert [one for chunk in chunks for one in chunk] == outputs
    assert all(sum(len(one.value) for one in chunk) < 700_000 for chunk in chunks)


def test_an_output_larger_than_a_batch_goes_alone() -> None:
    outputs = [output(b"a", b"1"), output(b"b", b"x" * 900_000), output(b"c", b"1")]
    assert [len(chunk) for chunk in _chunks(outputs)] == [1, 1, 1]


def test_the_headers_of_small_outputs_count() -> None:
    """A campaign's id is as long as a stranger likes."""
    outputs = [output(b"k", b"v", (("type", b"t"), ("campaign", b"c" * 1000))) for _ in range(2000)]
    chunks = list(_chunks(outputs))
    assert sum(map(len, chunks)) == len(outputs)
    assert all(len(chunk) * 1000 < 700_000 for chunk in chunks)


def test_headers_of_one_output_alone_count() -> None:
    """How much outputs can take at most is reckoned from the longest headers among them."""
    outputs = [output(b"k", b"v" * 1000) for _ in range(500)]
    outputs[7] = output(b"k", b"v", (("campaign", b"c" * 300_000),))
    assert len(list(_chunks(outputs))) == 2


def test_the_first_record_tells_the_erasures_when_they_hold_in_all_of_the_batch() -> None:
    def all_headers(*erasures: bytes | None) -> list[Any]:
        outputs = [Output(SMS_STATUS, b"k", b"v", (("type", b"t"),), one) for one in erasures]
        batch = DefaultRecordBatch(bytes(_of_outputs(outputs, 0).written()))
        return [record.headers for record in batch]

    plain = [("type", b"t")]
    assert all_headers(b"0f", b"0f") == [[("erasures", b"0f/2"), *plain], plain]
    for other in ((None, None), (b"0f", None), (None, b"0f"), (b"0f", b"0e")):
        assert all_headers(*other) == [plain, plain]


def test_nothing_makes_no_batch() -> None:
    assert list(_chunks([])) == []


def test_a_bundle_has_the_values_as_lines_in_order() -> None:
    lines = [Output(CAMPAIGN_PARTIALS, key, value) for key, value in ((b"a", b"1"), (b"b", b"2"), (b"a", b"3"))]
    assert bundled(lines) == [Output(CAMPAIGN_PARTIALS, None, b"1\n2\n3")]


def test_no_bundle_outgrows_a_record() -> None:
    outputs = [output(b"%d" % number, b"x" * 1000) for number in range(2000)]
    bundles = [bundle.value for bundle in bundled(outputs)]
    assert b"\n".join(bundles).split(b"\n") == [one.value for one in outputs]
    assert all(len(bundle) < 700_000 for bundle in bundles)


def test_no_outputs_make_no_bundle() -> None:
    assert bundled([]) == []


def test_a_bundle_has_a_hundred_lines_at_most() -> None:
    bundles = bundled([output(b"k", b"%d" % number) for number in range(250)])
    assert [len(bundle.value.split(b"\n")) for bundle in bundles] == [100, 100, 50]
