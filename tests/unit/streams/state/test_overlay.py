"""Rows as a stage sees them, between two flushes."""

import orjson

from streams.state.rows.overlay import Overlay


def overlay(**stored: object) -> Overlay:
    """Return an overlay over a store with these rows."""
    rows = {key.encode(): orjson.dumps(row) for key, row in stored.items()}
    return Overlay(rows.get)


def test_a_row_is_read_from_the_store() -> None:
    assert overlay(a=[1]).get(b"a") == [1]


def test_a_missing_row_is_none() -> None:
    assert overlay().get(b"a") is None


def test_a_put_row_is_seen_before_and_after_a_seal() -> None:
    rows = overlay(a=[1])
    rows.put(b"a", [2])
    assert rows.get(b"a") == [2]
    rows.seal()
    assert rows.get(b"a") == [2]


def test_a_deleted_row_is_gone_before_and_after_a_seal() -> None:
    rows = overlay(a=[1])
    rows.delete(b"a")
    assert rows.get(b"a") is None
    rows.seal()
    assert rows.get(b"a") is None


def test_a_put_after_a_delete_stays() -> None:
    rows = overlay(a=[1])
    rows.delete(b"a")
    rows.put(b"a", [3])
    assert rows.seal() == {b"a": b"[3]"}


def test_a_seal_has_the_last_form_of_each_changed_row_and_none_for_deleted_rows() -> None:
    rows = overlay(a=[1], b=[1], c=[1])
    rows.put(b"a", [2])
    rows.put(b"a", [3])
    rows.delete(b"b")
    assert rows.seal() == {b"a": b"[3]", b"b": None}


def test_after_a_seal_only_new_changes_count() -> None:
    rows = overlay()
    rows.put(b"a", [1])
    rows.seal()
    assert not rows.changed
    assert rows.seal() == {}
    assert rows.size == 0


def test_a_sealed_row_is_forgotten_at_the_next_seal_and_read_from_the_store_again() -> None:
    store: dict[bytes, bytes] = {}
    rows = Overlay(store.get)
    rows.put(b"a", [1])
    rows.seal()
    store[b"a"] = b"[1]"
    rows.put(b"b", [1])
    rows.seal()
    store[b"a"] = b"[9]"
    assert rows.get(b"a") == [9]


def test_the_size_is_at_least_that_of_the_encoded_changes() -> None:
    rows = overlay()
    rows.put(b"key", ["x" * 1000])
    assert rows.size >= 3 + 1000


def test_a_row_that_is_put_again_counts_once() -> None:
    rows = overlay()
    rows.put(b"key", ["x" * 1000])
    first = rows.size
    rows.put(b"key", ["y" * 1000])
    assert rows.size == first


def test_a_row_that_shrinks_or_goes_gives_back_its_size() -> None:
    rows = overlay()
    rows.put(b"key", ["x" * 1000])
    full = rows.size
    rows.put(b"key", [])
    small = rows.size
    rows.delete(b"key")
    assert full - small == 1000 + 2
    assert rows.size == small - 2


def test_a_kept_row_is_read_and_sealed_in_its_current_form() -> None:
    rows, row = overlay(), [1]
    rows.keep(b"a", row)
    row.append(2)
    assert (rows.get(b"a"), rows.raw(b"a"), rows.kept(b"a")) == ([1, 2], b"[1,2]", row)
    assert rows.changed == {b"a"}
    row.append(3)
    assert rows.seal() == {b"a": b"[1,2,3]"}


def test_a_seal_ends_keeping_rows() -> None:
    rows, row = overlay(), [1]
    rows.keep(b"a", row)
    rows.seal()
    row.append(2)
    assert (rows.kept(b"a"), rows.get(b"a")) == (None, [1])
    assert rows.seal() == {}


def test_a_put_or_a_delete_ends_keeping_a_row() -> None:
    rows = overlay()
    rows.keep(b"a", [1])
    rows.keep(b"b", [1])
    rows.put(b"a", [2])
    rows.delete(b"b")
    assert (rows.kept(b"a"), rows.kept(b"b")) == (None, None)
    assert rows.seal() == {b"a": b"[2]", b"b": None}


def test_a_kept_row_may_encode_itself() -> None:
    class Sum:
        total = 0

        def row(self) -> list[int]:
            return [self.total]

    rows, row = overlay(), Sum()
    rows.keep(b"a", row)
    row.total = 5
    assert rows.seal() == {b"a": b"[5]"}
