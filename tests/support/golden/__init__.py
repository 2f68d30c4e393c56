"""
Golden data: stored state as an earlier version wrote it, and the answers that it must give. See tests/data/state.
"""
