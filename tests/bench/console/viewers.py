"""
Tabs that look at all campaigns until the input is closed: `python -m tests.bench.console.viewers PORT COUNT CAMPAIGNS`.

Each reads the stream of live numbers, and the page again every five seconds as the script of the pages does. Written at
the end, as JSON: for each campaign of the list, named by the last digits of its id, when each count of final messages
was told.
"""

import asyncio
import json
import re
import sys
import time
from typing import Final

_AGAIN_SECONDS: Final = 5.0
_LISTENERS: Final = 4
"""So many of them take the news apart; the others only read."""
_TOLD: Final = re.compile(rb'"id":"[0-9a-f-]*?(\d+)","running":[a-z]+,"total":\d+,"final_count":(\d+)')
_GET: Final = "GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\n{}\r\n"

Told = dict[str, dict[str, float]]


async def _listen(port: int, listens: bool, wanted: set[str], told: Told) -> None:  # noqa: FBT001 - of this program
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    writer.write(_GET.format("/events", "").encode())
    rest = b""
    while piece := await reader.read(1 << 18):
        if not listens:
            continue
        now, rest = time.time(), rest + piece
        *lines, rest = rest.split(b"\n")
        for line in lines:
            if (found := _TOLD.search(line)) and (campaign := found[1].decode()) in wanted:
                told.setdefault(campaign, {}).setdefault(found[2].decode(), now)


async def _read_again(port: int, delay: float) -> None:
    await asyncio.sleep(delay)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    while True:
        began = time.monotonic()
        if reader.at_eof():  # silent for longer than the console keeps a connection: a browser opens another
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
        writer.write(_GET.format("/", "X-Refresh: again\r\nAccept-Encoding: gzip\r\n").encode())
        head = await reader.readuntil(b"\r\n\r\n")
        size = re.search(rb"(?i)content-length: (\d+)", head)
        await reader.readexactly(int(size[1]) if size else 0)
        await asyncio.sleep(max(0.0, began + _AGAIN_SECONDS - time.monotonic()))


async def _main(port: int, count: int, campaigns: str) -> None:
    told: Told = {}
    wanted = set(campaigns.split(","))
    tasks = [asyncio.create_task(_listen(port, number < _LISTENERS, wanted, told)) for number in range(count)]
    tasks += [asyncio.create_task(_read_again(port, _AGAIN_SECONDS * number / count)) for number in range(count)]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    failed = [task.exception() for task in tasks if task.done()]
    sys.stdout.write(json.dumps({"told": told, "failed": [repr(error) for error in failed]}))
    sys.stdout.flush()
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
