"""
The connections: requests read, judged and answered.
"""
