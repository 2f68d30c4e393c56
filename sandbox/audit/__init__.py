"""
Ledger against pipeline: whether all that Routee was answered 200 for shows in the topics and in ClickHouse.
"""
