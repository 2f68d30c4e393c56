"""
The pure core: the meaning of callbacks, and how an SMS and a campaign move. No clock, no client, no log.
"""
