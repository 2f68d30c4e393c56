"""
A program that serves its pages and nothing else, as a process of its own.

Argument: the most files that it may have open, 0 for no such limit. Its metrics are as long as `METRICS_BYTES`.
"""

import asyncio
import resource
import sys

from streams.program.http_bounds import Bounds
from streams.program.listening import Endpoint
from streams.program.pages import Pages, fine, page_server, trouble

METRICS_BYTES = 8_000_000
BOUNDS = Bounds(first_byte_seconds=1, request_seconds=1, answer_seconds=3, idle_seconds=10)
"""A test tells the limit of a request from that of an idle connection."""


def many() -> bytes:
    return b"x" * METRICS_BYTES


async def main(most_files: int) -> None:
    bound = Endpoint("TEST_ADMIN", "127.0.0.1", 0).bind()
    server = page_server(Pages(live=lambda: fine("ok"), ready=lambda: trouble("one", "two"), metrics=many), BOUNDS)
    await server.start(bound)
    if most_files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    print(bound.getsockname()[1], flush=True)  # noqa: T201 - the test reads it
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
