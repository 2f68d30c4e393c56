"""
Refusals and errors of our HTTP servers, as problem details.
"""

from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.hdrs import CACHE_CONTROL, RETRY_AFTER

from streams.contract.problems import PROBLEM_JSON, problem
from streams.program.http_bounds import Handler

_DETAILS: Final = {
    HTTPStatus.NOT_FOUND: "nothing is at this path",
    HTTPStatus.METHOD_NOT_ALLOWED: "only GET and HEAD are answered",
}


def problem_answer(status: int, detail: str | None = None, *, retry_after: int = 0, **more: object) -> web.Response:
    """Return an answer that says why there is no other; `retry_after` are the seconds until the next try is useful."""
    answer = web.Response(body=problem(status, detail, **more), status=status, content_type=PROBLEM_JSON)
    answer.headers[CACHE_CONTROL] = "no-store"
    if retry_after:
        answer.headers[RETRY_AFTER] = f"{retry_after}"
    return answer


@web.middleware
async def told_as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer as a problem where the library would answer in its own words: another path, another method."""
    try:
        return await handler(request)
    except web.HTTPException as refused:
        answer = problem_answer(refused.status, _DETAILS.get(HTTPStatus(refused.status)))
        if isinstance(refused, web.HTTPMethodNotAllowed):
            answer.headers["Allow"] = ", ".join(sorted(refused.allowed_methods))
        return answer
