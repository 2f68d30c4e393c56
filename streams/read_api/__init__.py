"""
The read API: SMS, messages and campaigns over HTTP, from the rows of all workers.
"""
