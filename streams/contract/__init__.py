"""
The contract between the programs: topics, records, codec and keys.

The outside relies on this package. With `streams.program` it is the only part of `streams` that `ingest`, `sinks` and
`sandbox` may import. A name belongs here only if two programs exchange it, or must agree on it to exchange data.
"""
