"""
What every program has: settings, environment, log lines, and how Kafka is reached.
"""
