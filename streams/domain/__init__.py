"""
The pure core: what callbacks mean, how an SMS and a campaign move. No clock, no client, no log.
"""
