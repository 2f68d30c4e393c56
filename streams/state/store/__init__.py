"""
The local store of rows: a cache of the changelog.
"""
