"""
What is stored of a body: checked, without the secret, in an envelope. Pure.
"""
