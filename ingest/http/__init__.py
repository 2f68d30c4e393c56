"""
HTTP: connections, and requests that are read, judged and answered.
"""
