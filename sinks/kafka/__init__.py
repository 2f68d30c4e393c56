"""
kafka-python, mended: where the records come from, and where refused ones go.
"""
