"""
The redrive: refused callbacks go back to `callbacks.raw`, as they were posted or corrected.
"""
