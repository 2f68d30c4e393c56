"""
What was taken and is not acknowledged yet.
"""


class Pending:
    """What was taken and is not yet acknowledged, over all lanes: callbacks, and bytes (also of unfinished bodies)."""

    __slots__ = ("count", "size")

    def __init__(self) -> None:
        self.count = 0
        self.size = 0
