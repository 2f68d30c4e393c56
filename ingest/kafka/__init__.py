"""
Kafka, as the place where envelopes are stored: produce requests of our own over aiokafka's connections.
"""
