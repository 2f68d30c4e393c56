"""
The newest state of campaigns, cells and alarms, read from Kafka as it comes, and its news for the viewers.
"""
