"""
The other programs, as they tell of themselves: at /readyz and /metrics.
"""
