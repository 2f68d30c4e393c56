"""
What is asked of Kafka about topics and the group, from outside.
"""
