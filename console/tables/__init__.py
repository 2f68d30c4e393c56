"""
Answers from ClickHouse: a user who only reads, a limit of time for each query, and a cache of seconds.
"""
