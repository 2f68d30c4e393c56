"""
Who works on a partition next, and has its rows.
"""
