"""
`/metrics` of every program tells what `/readyz` says.
"""

import asyncio
from urllib.error import HTTPError

from sandbox.audit.http import fetch
from streams.program.listening import Endpoint, url_of
from streams.program.pages import Pages, fine, page_server, trouble


def status_of(url: str) -> int:
    try:
        fetch(url)
    except HTTPError as error:
        return error.code
    return 200


async def test_the_metric_says_what_the_page_says() -> None:
    """Prometheus reads one page: without it no alarm could come of a program that is not ready."""
    reasons: list[str] = []
    pages = Pages(
        live=lambda: fine("alive"),
        ready=lambda: trouble(*reasons) if reasons else fine("ready"),
        metrics=lambda: b"routee_of_the_program 7\n",
    )
    with Endpoint("TEST", "127.0.0.1", 0).bind() as listener:
        server = page_server(pages)
        await server.start(listener)
        try:
            for why, status, value in ([], 200, 1), (["kafka: no answer"], 503, 0):
                reasons[:] = why
                assert await asyncio.to_thread(status_of, f"{url_of(listener)}/readyz") == status
                told = (await asyncio.to_thread(fetch, f"{url_of(listener)}/metrics")).decode().splitlines()
                assert told[0] == "routee_of_the_program 7"
                assert told[-1] == f"routee_ready {value}"
        finally:
            await server.close()
