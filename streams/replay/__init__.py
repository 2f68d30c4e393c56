"""
The replay: recorded callbacks through the rules of this version, into files that can be compared.
"""
