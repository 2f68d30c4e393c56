"""
Reading Routee's callbacks: everything that only Routee's forms explain.
"""
