"""Cutting records into several batches where they need not be one."""

from streams.state.changelog.batches import Record, _chunks, bundled


def test_few_records_are_one_batch() -> None:
    records: list[Record] = [(b"a", b"1", []), (b"b", None, [])]
    assert list(_chunks(records)) == [records]


def test_no_record_is_lost_or_moved_when_there_are_many() -> None:
    records: list[Record] = [(b"%d" % number, b"x" * 1000, []) for number in range(2000)]
    chunks = list(_chunks(records))
    assert len(chunks) > 1
    assert [record for chunk in chunks for record in chunk] == records
    assert all(sum(len(value or b"") for _, value, _ in chunk) < 700_000 for chunk in chunks)


def test_a_record_larger_than_a_batch_goes_alone() -> None:
    records: list[Record] = [(b"a", b"1", []), (b"b", b"x" * 900_000, []), (b"c", b"1", [])]
    assert [len(chunk) for chunk in _chunks(records)] == [1, 1, 1]


def test_the_headers_of_small_records_count() -> None:
    """A campaign's id is as long as a stranger likes."""
    records: list[Record] = [(b"k", b"v", [("type", b"t"), ("campaign", b"c" * 1000)]) for _ in range(2000)]
    chunks = list(_chunks(records))
    assert sum(map(len, chunks)) == len(records)
    assert all(len(chunk) * 1000 < 700_000 for chunk in chunks)


def test_nothing_makes_no_batch() -> None:
    assert list(_chunks([])) == []


def test_a_bundle_has_the_values_as_lines_in_order() -> None:
    assert bundled([(b"a", b"1", []), (b"b", b"2", []), (b"a", b"3", [])]) == [(None, b"1\n2\n3", [])]


def test_no_bundle_outgrows_a_record() -> None:
    records: list[Record] = [(b"%d" % number, b"x" * 1000, []) for number in range(2000)]
    bundles = [value or b"" for _, value, _ in bundled(records)]
    assert b"\n".join(bundles).split(b"\n") == [value for _, value, _ in records]
    assert all(len(bundle) < 700_000 for bundle in bundles)


def test_no_records_make_no_bundle() -> None:
    assert bundled([]) == []


def test_a_bundle_has_a_hundred_lines_at_most() -> None:
    bundles = bundled([(b"k", b"%d" % number, []) for number in range(250)])
    assert [len((value or b"").split(b"\n")) for _, value, _ in bundles] == [100, 100, 50]
