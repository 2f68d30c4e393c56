"""
Files: their names and what these promise, locks, Parquet and NDJSON, the sink.
"""
