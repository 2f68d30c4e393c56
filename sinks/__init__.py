"""
Kafka to ClickHouse or files: written first, committed after.
"""
