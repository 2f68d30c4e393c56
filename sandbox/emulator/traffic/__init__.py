"""
The callbacks, their order and their bytes: a pure function of the options, the seed and the start time.

No clock, no socket, no log: two runs with the same arguments give the same bytes in the same order.
"""
