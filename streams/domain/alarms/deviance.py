"""
How far fewer came than were expected: deviances, divided by the spread that the counts have in ordinary times.
"""

from math import log


def share_deviance(n: int, x: int, share: float, rho: float, known: float) -> float:
    """
    Return the deviance of `x` of `n` below an expected share (over 0, under 1); 0 when they are not below it.

    `rho` is the correlation of two SMS of the same time, and `known` how many SMS the expected share itself rests on.
    """
    seen = x / n
    if seen >= share:
        return 0.0
    divergence = (1 - seen) * log((1 - seen) / (1 - share))
    if x:
        divergence += seen * log(seen / share)
    return 2 * n * divergence / (1 + (n - 1) * rho + n / known)


def count_deviance(x: int, expected: float, spread: float) -> float:
    """
    Return the deviance of a count below the expected one; 0 when it is not below it.

    `spread` is the square of the relative deviation that the count has beside that of Poisson.
    """
    if x >= expected:
        return 0.0
    deviance = 2 * (expected - x + (x * log(x / expected) if x else 0.0))
    return deviance / (1 + expected * spread)
