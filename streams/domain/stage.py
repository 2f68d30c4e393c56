"""
What the checkpointed table asks of the domain: a stage turns source records into rows and outputs.

Everything a stage does depends on the source records and their order alone, so that a replay after a crash
gives the same rows and the same outputs.
"""

from collections.abc import Collection, Iterator
from typing import Any, ClassVar, Final, NamedTuple, Protocol

from streams.contract.topics import Topic


class Output(NamedTuple):
    """One record to produce. Its partition follows from the topic, never from the stage."""

    topic: Topic
    key: bytes | None
    value: bytes


class UnfinishedError(Exception):
    """
    A record could not be taken in for a reason outside of it, as when memory ran out: it is to be taken again.

    `index` is that of the callback (or line) at hand. The rows are not complete.
    """

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index: Final = index


class Ending(NamedTuple):
    """A record that ended a worker."""

    offset: int
    at: int | None
    """The index of the callback (or line) at hand; None: of none in particular."""
    times: int
    """In a row."""


class Piece(NamedTuple):
    """One piece of a source record: its outputs in order, and where in the record the next begins; None: nowhere."""

    outputs: list[Output]
    next: int | None


PIECE_BYTES: Final = 2_000_000
"""
A piece ends with the row that makes those it has touched longer than this. Whatever a record does to the rows, some
pieces of it always fit in one checkpoint, which is one batch in the changelog.
"""

GENERATION_KEY: Final = b"\0generation"
"""
A number that grows whenever the rows of a partition are made anew from the source, as after their loss: what was said
of the partition in an older generation is out of date, however far that one had come.
"""


class Rows(Protocol):
    """
    The rows of one source partition: what was put or deleted is seen by the next `get`.

    A row is anything that msgspec writes as JSON. It is written when it is put, and read anew by each `get`: what
    becomes of it outside changes nothing here. Keys that begin with a zero byte are not a stage's own; it may read
    GENERATION_KEY.
    """

    def get(self, key: bytes) -> Any:  # noqa: ANN401 - each stage knows the form of its own rows
        """Return the row, None when there is none."""

    def raw(self, key: bytes) -> bytes | None:
        """Return the row as it is written, for those who read it in a form of their own; None when there is none."""

    def put(self, key: bytes, row: Any) -> None:  # noqa: ANN401
        """Write a row."""

    def delete(self, key: bytes) -> None:
        """Forget a row; deleting what is not there is no error."""

    def keep(self, key: bytes, row: Any) -> None:  # noqa: ANN401
        """
        Put a row that nearly every record changes: it is written at the next flush, as it is then.

        It may have a method `row` that returns what is to be written.
        """

    def kept(self, key: bytes) -> Any:  # noqa: ANN401
        """Return what is kept under a key, to be changed in place; None when nothing was since the last flush."""


class Stage(Protocol):
    """
    One step of the pipeline, as pure rules over the rows of a partition.

    Neither method raises for bad data: what cannot be understood becomes a rejection among the outputs. What is raised
    ends the worker, and the record is taken again; UnfinishedError says at which callback.
    """

    summarized: ClassVar[bytes]
    """Prefix of the keys that `summarize` has outputs for."""

    def apply(  # noqa: PLR0913, PLR0917 - a record, and what of it is left
        self, rows: Rows, partition: int, offset: int, value: bytes, begin: int = 0, ended: Ending | None = None
    ) -> Iterator[Piece]:
        """
        Take in one source record, or what follows the pieces that the rows hold already; yield each piece when done.

        `ended` is given for a record that has ended workers too often: the callback at fault, or all that are left
        when none is known to be, are rejected untried, as `bug`.

        Rows are complete after each piece: they may become durable there, and only the rest be handed over, by where
        it begins. Where pieces end follows from the record and the rows, so a replay has the same. At least one comes.
        A record is never handed to rows that hold it already, nor one before it.
        """

    def summarize(self, rows: Rows, partition: int, changed: Collection[bytes]) -> list[Output]:
        """
        Return the outputs that need to be produced only once for many changes, made at a flush.

        `changed` are the summarized keys that were put or deleted since they were last handed in. The same rows
        give the same outputs.
        """
