"""
Group commit: callbacks that arrive together are stored together, and answered when Kafka has them.
"""
