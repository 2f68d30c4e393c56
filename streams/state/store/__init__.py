"""
Where rows live on this machine: a cache of the changelog.
"""
