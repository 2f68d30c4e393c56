"""
From a body to the bytes that are stored: checked, without secrets, in an envelope. Pure.
"""
