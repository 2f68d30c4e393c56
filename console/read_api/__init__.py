"""
Answers of streams: the state of one message as it is now.
"""
