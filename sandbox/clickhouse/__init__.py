"""
ClickHouse's HTTP interface in front of chDB, which is the real engine inside a Python process.

The path of a request: `server` (HTTP) → `protocol` (parameters and headers) → `statement` (SQL apart from inserted
data) → `engine` (chDB) → `server` (the answer in the encoding of `compression`); `errors` are the server's own codes.
"""
