"""
Checkpointed tables on Faust: an upgrade of Faust can break this folder and nothing else.
"""
