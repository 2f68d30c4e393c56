"""
Bodies of answers over HTTP.
"""

import asyncio

import aiohttp


async def read_up_to(content: aiohttp.StreamReader, most: int) -> bytes:
    """
    Return a body, or its first `most` bytes when it is longer.

    `content.read(most)` would give the part that has come so far.
    """
    try:
        return await content.readexactly(most)
    except asyncio.IncompleteReadError as end:
        return end.partial
