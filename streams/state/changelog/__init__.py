"""
Writing to Kafka: batches that are appended whole or not at all, and the right to append them.
"""
