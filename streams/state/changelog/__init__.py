"""
Writing to Kafka: batches that are appended whole or not at all, under a fence.
"""
