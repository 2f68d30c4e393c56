"""
Files: where they lie and what their names promise, Parquet and NDJSON, the sink.
"""
