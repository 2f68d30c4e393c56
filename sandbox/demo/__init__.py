"""
`routee-sandbox demo`: campaigns through the whole pipeline, watched while they run, and checked to the last cell.
"""
