"""
The checkpointed table: state and outputs that survive any crash, exactly.

One table, one changelog. A flush is a checkpoint: outputs, then rows and source position in one record batch, then
the local store, then the offsets. GUARANTEE.md has the order and what a crash after each step means.
"""
