"""
Numbers, times and verdicts as people read them. Pure.
"""
