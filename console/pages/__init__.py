"""
The pages, each put together from live state, tables and the read API, and the parts that all of them have.
"""
