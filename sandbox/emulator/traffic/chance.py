"""
Randomness that depends on the seed alone: each purpose draws from a stream of its own.
"""

from random import Random
from uuid import UUID


def stream(seed: int, purpose: str) -> Random:
    """Return the random numbers of one purpose; drawing for one purpose changes nothing for the others."""
    return Random(f"{seed}:{purpose}")  # noqa: S311 - repeatable on purpose, and no secret


def uuid(random: Random) -> str:
    """Return a version 4 UUID in lower case, as Routee writes its ids."""
    return str(UUID(int=random.getrandbits(128), version=4))
