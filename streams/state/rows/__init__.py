"""
The rows of one partition between two flushes.
"""
