"""
What the programs exchange: topics, records, codec, keys, broker settings, log line.

The only part of `streams` that `ingest`, `sinks` and `sandbox` may import, and the part that the outside relies
on. A name belongs here only if two programs exchange it, or must agree on it to exchange something.
"""
