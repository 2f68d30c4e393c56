"""
Routee's words: the forms of its callbacks, read.
"""
