"""
The stream of live numbers: server-sent events, one stream a tab.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from time import time

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from console.live.news import ALL_CAMPAIGNS, Subject
from console.pages.site import Site

_MOST_VIEWERS = 1_000
_MOST_KEY = 256


def _subject(given: Mapping[str, str]) -> Subject:
    if campaign := given.get("campaign", "")[:_MOST_KEY]:
        return Subject(campaign=campaign)
    if message := given.get("message", "")[:_MOST_KEY]:
        return Subject(message=message)
    return {"routes": Subject(routes=True), "alarms": Subject()}.get(given.get("of", ""), ALL_CAMPAIGNS)


class EventStream:
    """Answers `/events`: of all campaigns, or of `campaign=`, `message=`, `of=routes` or `of=alarms` alone."""

    def __init__(self, site: Site, now: Callable[[], float] = time) -> None:
        self._site = site
        self._now = now

    async def __call__(self, request: Request) -> Response:
        """Begin a stream behind the event that the browser saw last, or behind the page that it has just been given."""
        if self._site.news.viewers >= _MOST_VIEWERS:
            return Response("Too many viewers.\n", 503, {"Retry-After": "10"})
        last = request.headers.get("last-event-id") or request.query_params.get("after")
        until: float | None = request.scope["person"].until
        return StreamingResponse(
            self._told(last, _subject(request.query_params), until),
            media_type="text/event-stream",
            # A proxy that collects the answer before it hands it on would show no live numbers.
            headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"},
        )

    async def _told(self, last: str | None, subject: Subject, until: float | None) -> AsyncIterator[bytes]:
        """Yield the events, at most until the login ends: a browser comes back then, and the gate looks again."""
        stream = self._site.news.stream(last, subject)
        try:
            async for event in stream:
                if until is not None and self._now() >= until:
                    return
                yield event
        finally:
            await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
