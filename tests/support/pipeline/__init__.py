"""
A pipeline of `streams` with toy rules: real Kafka, real worker processes, faults on purpose, and the truth beside it.
"""
