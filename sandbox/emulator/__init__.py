"""
Routee, emulated: posts what Routee would post, and keeps a ledger of what must come of it.
"""
