"""
Read-only HTTP: health, metrics, and answers from the rows.
"""
