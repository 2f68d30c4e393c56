"""
The interface between the checkpointed table and the domain: a stage turns source records into rows and outputs.

A stage depends only on the source records and their order, so a replay after a crash gives the same rows and outputs.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any, ClassVar, Final, NamedTuple, Protocol

import msgspec

from streams.contract.headers import NO_HEADERS, Headers
from streams.contract.topics import Topic
from streams.domain.policy import Erased


class Output(msgspec.Struct, frozen=True, gc=False):
    """One record to produce. Its topic decides its partition, never the stage."""

    topic: Topic
    key: bytes | None
    value: bytes
    headers: Headers = NO_HEADERS
    erasures: bytes | None = None
    """The digest of the erasures that hold in the record of an SMS; None while there are none."""


class UnfinishedError(Exception):
    """
    A record could not be taken in for a reason outside the record, such as no memory left: take it again.

    `index` is the index of the callback (or line) being taken in. The rows are incomplete.
    """

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index: Final = index


class Ending(NamedTuple):
    """A record that ended workers."""

    offset: int
    at: int | None
    """The index of the callback (or line) being taken in; None when it is unknown."""
    times: int
    """How many workers it ended in a row."""


class Piece(NamedTuple):
    """One piece of a source record: its outputs in order, and the index where the next begins, None after the last."""

    outputs: list[Output]
    next: int | None


PIECE_BYTES: Final = 2_000_000
"""
A piece ends with the row that makes its touched rows longer than this. So every piece of any record fits in one
checkpoint, which is one batch in the changelog.
"""

GENERATION_KEY: Final = b"\0generation"
"""
Key of a number that grows whenever the rows of a partition are rebuilt from the source, for example after their loss.

Counts and reports of an older generation are out of date, however many records that generation had taken in.
"""


class Rows(Protocol):
    """
    The rows of one source partition; each `get` sees all earlier puts and deletes.

    A row is any value that msgspec writes as JSON. `put` encodes it and each `get` decodes it again, so later changes
    to the object do not reach the row. Keys that begin with a zero byte do not belong to a stage; it may read
    GENERATION_KEY.
    """

    erased: Erased | None
    """The erasures that hold in the rows, None while there are none."""

    def get(self, key: bytes) -> Any:  # noqa: ANN401 - each stage knows the form of its own rows
        """Return the decoded row, None when there is none."""

    def raw(self, key: bytes) -> bytes | None:
        """Return the row's JSON bytes, for a caller that decodes them itself; None when there is none."""

    def put(self, key: bytes, row: Any) -> None:  # noqa: ANN401
        """Write a row."""

    def delete(self, key: bytes) -> None:
        """Delete a row; deleting a missing row is no error."""

    def keep(self, key: bytes, row: Any) -> None:  # noqa: ANN401
        """
        Put a row that nearly every record changes: it is encoded only at the next flush, as it is then.

        It may have a method `row` that returns the value to write.
        """

    def kept(self, key: bytes) -> Any:  # noqa: ANN401
        """Return the object kept under a key since the last flush, to be changed in place; None when there is none."""


class Erasing(Protocol):
    """The erasures that are known, and the rules of erasing in the rows of a stage."""

    prefix: ClassVar[bytes]
    """Prefix of the keys of the rows that have data of a recipient."""
    end: int
    """How far the erasures are known: the offset after the last one."""
    is_current: bool
    """Whether there were no others a moment ago."""
    confirmations: int
    """How often Kafka has said that there were no others."""

    def before(self, end: int) -> Erased | None:
        """Return the erasures before an offset, as far as they are known; None when there are none."""

    def erase(self, rows: Rows, keys: Iterable[bytes]) -> list[Output]:
        """Erase in these rows what the erasures that hold in them cover; return the outputs. Doing it again is none."""


class Stage(Protocol):
    """
    One step of the pipeline, as pure rules over the rows of a partition.

    Neither method raises for bad data: data that is not understood becomes a rejection among the outputs. Any error
    raised ends the worker, and the record is taken again; UnfinishedError names the callback.
    """

    summarized: ClassVar[tuple[bytes, ...]]
    """Prefixes of the keys that `summarize` has outputs for; none of them begins another."""
    forgettable: ClassVar[bytes | None] = None
    """Prefix of the keys that `forget` looks at; None: it has nothing to delete."""

    def apply(  # noqa: PLR0913, PLR0917 - a record, and the part of it that is left
        self, rows: Rows, partition: int, offset: int, value: bytes, begin: int = 0, ended: Ending | None = None
    ) -> Iterator[Piece]:
        """
        Take in one source record from `begin` on; yield each piece when it is done, one at least.

        `begin` is the index after the pieces that the rows already contain. `ended` is given for a record that has
        ended workers too often: the callback at fault, or the whole rest when that is unknown, is rejected untried,
        as `bug`.

        Rows are complete after each piece: a checkpoint may be taken there, and another worker may go on from `next`.
        The ends of pieces follow from the record and the rows alone, so a replay has the same ones. The caller never
        hands in a record that the rows already contain, nor an earlier one.
        """

    def summarize(self, rows: Rows, partition: int, changed: Collection[bytes]) -> list[Output]:
        """
        Return the outputs that are produced once for many changes; called at a flush.

        `changed` are the summarized keys put or deleted since the last call. The same rows give the same outputs.
        """

    def forget(self, rows: Rows, keys: Iterable[bytes]) -> int:  # noqa: ARG002 - of a stage that has nothing to delete
        """
        Delete those rows of summarized keys that are over; return how many.

        `apply` has no use for a row that is over, so it does not matter when this is called, or whether ever.
        """
        return 0
