"""
Administration of topics and the consumer group, from outside the workers.
"""
