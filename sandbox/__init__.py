"""
The whole pipeline on one machine: a real Kafka, a real ClickHouse engine, and an emulator of Routee.
"""
