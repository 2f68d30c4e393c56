"""
The balance of bytes and callbacks that were taken and are not acknowledged yet.
"""


class Pending:
    """
    The pending callbacks of all lanes of a process, and their bytes; bytes of bodies still being received count too.

    It owns the balance: others add, hold and release, and read the rest. `max_bytes` bounds the memory that
    pending bodies take.
    """

    __slots__ = ("count", "max_bytes", "size")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.count = 0
        self.size = 0

    @property
    def is_full(self) -> bool:
        """Whether the limit is reached."""
        return self.size >= self.max_bytes

    def has_room(self, size: int) -> bool:
        """Return whether that many bytes more stay within the limit."""
        return self.size + size <= self.max_bytes

    def add(self, size: int) -> None:
        """Count one callback that a lane has taken."""
        self.count += 1
        self.size += size

    def release(self, count: int, size: int) -> None:
        """Count callbacks no more: they were acknowledged or given up."""
        self.count -= count
        self.size -= size

    def hold(self, before: int, now: int) -> None:
        """Count the bytes of an unfinished body, in place of the bytes of it that were counted before."""
        self.size += now - before
