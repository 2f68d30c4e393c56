"""
How deep a body may be nested. Pure.
"""

from typing import Final

from orjson import JSONDecodeError, loads

MAX_DEPTH: Final = 250
"""
Deepest nesting of a callback; Routee's have 3 levels. An envelope adds two more, and readers have limits of their own:
orjson reads 1,024 levels and writes 254, others stop at 1,000 or less.
"""

_READER_DEPTH: Final = 1024


def is_deeper(body: bytes, levels: int) -> bool:
    """
    Tell whether a body that is valid JSON is nested more than `levels` deep, from 1 to 1,024.

    Only bodies with that many brackets are parsed again, wrapped so that the parser's own limit is ours.
    """
    # Removing brackets with replace() and comparing lengths is five times as fast as count().
    if 2 * len(body) - len(body.replace(b"[", b"")) - len(body.replace(b"{", b"")) <= levels:
        return False
    around = _READER_DEPTH - levels
    try:
        loads(b"[" * around + body + b"]" * around)
    except JSONDecodeError:
        return True
    return False
