"""
HTTP to Kafka: takes Routee's callbacks and answers 200 once Kafka has them.
"""
