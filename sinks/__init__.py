"""
Kafka to ClickHouse or files: writes first, commits after.
"""
