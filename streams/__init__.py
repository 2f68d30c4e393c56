"""
Kafka to tables to Kafka: the latest status of every SMS and the progress of every campaign.
"""
