"""
Group commit: callbacks that came together are stored together, and answered when Kafka has them.
"""
