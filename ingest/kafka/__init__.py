"""
Where envelopes are stored: produce requests of our own over connections of aiokafka.
"""
