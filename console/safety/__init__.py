"""
The people who may see a page, and how much of it: tokens, cookies, masks, headers, and tables that no spreadsheet runs.
"""
