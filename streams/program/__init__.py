"""
The parts that every program has: settings, environment, log lines, and the connection to Kafka.
"""
