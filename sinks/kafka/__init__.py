"""
kafka-python, mended: records from Kafka, and rejections to it.
"""
