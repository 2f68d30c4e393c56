"""
Faust, made to carry checkpointed tables: everything that an upgrade of it can break.
"""
