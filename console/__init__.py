"""
The console: a campaign to watch, a message to find, a fault to see, for people who do not write SQL. It only reads.
"""
