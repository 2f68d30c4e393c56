"""
How partitions move between workers: shares, takeover, restore, hot standby.
"""
