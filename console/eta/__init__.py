"""
When a campaign will be final: a survival curve per route, applied to the ages of the messages that are open. Pure.
"""
