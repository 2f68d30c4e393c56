"""
The stream of live numbers: server-sent events, one stream a tab.
"""

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from console.pages.site import Site

_MOST_VIEWERS = 1_000


class EventStream:
    """Answers `/events`, with `campaign=` for one campaign."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def __call__(self, request: Request) -> Response:
        """Begin a stream behind the event that the browser saw last, or behind the page that it has just been given."""
        if self._site.news.viewers >= _MOST_VIEWERS:
            return Response("Too many viewers.\n", 503, {"Retry-After": "10"})
        last = request.headers.get("last-event-id") or request.query_params.get("after")
        campaign = request.query_params.get("campaign")
        return StreamingResponse(
            self._told(last, campaign),
            media_type="text/event-stream",
            # A proxy that collects the answer before it hands it on would show no live numbers.
            headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"},
        )

    async def _told(self, last: str | None, campaign: str | None) -> AsyncIterator[bytes]:
        stream = self._site.news.stream(last, campaign)
        try:
            async for event in stream:
                yield event
        finally:
            await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
