"""
The visible characters of a text: white space and invisible characters around it or in a row decide nothing.
"""


def visible(text: str) -> str:
    """Return a text without white space and invisible characters around it; a run of them within becomes one space."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
