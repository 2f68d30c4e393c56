"""
Tabs without a browser: each follows the live numbers, and reads the page again as the script of the pages does.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import aiohttp

_AGAIN_SECONDS = 5.0


@contextmanager
def viewers(address: str, count: int) -> Iterator[None]:
    """Look for the length of the block; the error of a tab that was turned away is raised at its end."""
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()
    looking = asyncio.run_coroutine_threadsafe(_all(address, count, ended), loop)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(ended.set)
        try:
            looking.result(60)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


async def _all(address: str, count: int, ended: asyncio.Event) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        tabs = [asyncio.create_task(_tab(session, address)) for _ in range(count)]
        over = asyncio.create_task(ended.wait())
        await asyncio.wait([over, *tabs], return_when=asyncio.FIRST_COMPLETED)
        for task in (over, *tabs):
            if task.done():
                task.result()
            task.cancel()


async def _tab(session: aiohttp.ClientSession, address: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_follow(session, address))
        tasks.create_task(_read_again(session, address))


async def _follow(session: aiohttp.ClientSession, address: str) -> None:
    async with session.get(f"{address}/events", timeout=aiohttp.ClientTimeout(total=None)) as events:
        assert events.status == HTTPStatus.OK
        async for _ in events.content.iter_any():
            pass
    raise ConnectionError("the stream has ended")


async def _read_again(session: aiohttp.ClientSession, address: str) -> None:
    while True:
        await asyncio.sleep(_AGAIN_SECONDS)
        async with session.get(f"{address}/", headers={"X-Refresh": "again"}) as page:
            assert page.status == HTTPStatus.OK
            await page.read()
