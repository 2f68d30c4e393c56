"""
ClickHouse: client, error table, numbered schema, sink.
"""
