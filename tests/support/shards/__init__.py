"""
ClickHouse with two shards, of the engine that tests have: it has no native interface, and no keeper.

Both shards are databases of one engine, `{name}_1` and `{name}_2` for the `{name}` that the schema knows. The engine's
own `Distributed` decides on the shard of a row, and sends rows over its native protocol, to a receiver that inserts
them into the database of the shard; it runs queries on both shards, and puts the answers together. Played are:

- `ON CLUSTER`, by running the statement in both databases: that takes a keeper;
- how the engine finds a shard's database when it reads. Both shards are itself, so it looks for `{name}` twice: there
  are tables of the engine `Merge` over both databases, and a filter by `shardNum()`, which the engine gives each shard.

So a query between shards is not sent over a wire. Questions about other servers, as in
`clusterAllReplicas`, are answered by the same one twice.
"""
