"""
The backfill: statuses that Routee knows and no callback told, asked for and stored like callbacks.
"""
