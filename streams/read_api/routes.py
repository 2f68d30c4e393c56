"""
The read API: answers from the rows, for readers with a token.

The owner of a partition answers for its messages and campaigns; any other worker forwards the request to the owner.
The key of an SMS does not name its partition: a worker searches its own partitions and asks all other workers. So it
does for a list of campaigns. The answer is "unknown", and a list is given, only when every partition was searched;
during a takeover it is "ask again" (503 with Retry-After). Answers include changes that become durable with the next
flush, and have nothing of erased people from the moment on at which the worker reads the erasure. Workers give each
other whole answers: the one that was asked first knows its reader, and masks.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from hashlib import blake2b
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import orjson
from aiohttp import ETag, web
from aiohttp.hdrs import AUTHORIZATION, CACHE_CONTROL, VARY, WWW_AUTHENTICATE
from aiohttp.typedefs import Middleware
from prometheus_client import CollectorRegistry, Counter

from streams.app import StreamsApp
from streams.contract.keys import KEY_MAX_CHARS, partition_of
from streams.contract.topics import CAMPAIGN_PARTIALS, WATCHED_PARTITION
from streams.domain.alarms.told import told_alarms
from streams.domain.alarms.watch import told_mutes
from streams.domain.campaign_index import Wanted
from streams.domain.masked_views import masked
from streams.domain.stage import Output, Rows
from streams.domain.views import campaign_key, campaign_view, find_sms, message_key, message_view
from streams.program.http_bounds import Bounds, Handler
from streams.program.http_server import HttpServer
from streams.program.origin import Origin
from streams.program.problems import problem_answer
from streams.read_api.alarm_query import read_alarm_query
from streams.read_api.campaign_lists import CampaignLists, OwnPage
from streams.read_api.campaign_query import cursor_after, read_query, time_of
from streams.read_api.delivery_lists import DeliveryLists, OwnCells
from streams.read_api.delivery_query import cursor_after_cell, place_of, read_cell_query
from streams.read_api.peers import FORWARDED, PeerAnswer, Peers
from streams.readers import LOCAL, Reader, Readers
from streams.runtime.table import CheckpointedTable

_READER: Final = web.RequestKey("reader", Reader)
# Readers, and all other workers for theirs.
_BOUNDS: Final = Bounds(connections=128)

View = Callable[[Rows, bytes], dict[str, Any] | None]


class ReadApi:
    """Answers about SMS, messages and campaigns, to readers."""

    def __init__(self, app: StreamsApp, readers: Readers, registry: CollectorRegistry, own: Origin) -> None:
        self._app = app
        self._own = own
        self._readers = readers
        self._lists = CampaignLists(app.campaigns, app.pulse.check_pause, app.turns)
        self._cells = DeliveryLists(app.deliveries, app.pulse.check_pause, app.turns)
        self._reads = Counter(
            "routee_streams_reads", "Requests of readers, by the name of their token.", ["reader"], registry=registry
        )
        self._refused = Counter(
            "routee_streams_refused_reads",
            "Requests without a token that counts, or from a web page where none is needed.",
            registry=registry,
        )
        for name in readers.names:
            self._reads.labels(name)
        routes = [
            web.get("/sms/{key}", self.sms),
            web.get("/messages/{key}", self.message),
            web.get("/campaigns/{key}", self.campaign),
            web.get("/campaigns", self.campaigns),
            web.get("/delivery", self.delivery),
            web.get("/alarms", self.alarms),
        ]
        self.server = HttpServer(routes, _BOUNDS, self._gate())
        self.peers = Peers(app, readers.worker_token)

    def _gate(self) -> Middleware:
        @web.middleware
        async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._authorize(request, handler)

        return gate

    async def _authorize(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer 401 to a stranger, for every path, and 403 to a web page that needs no token."""
        reader = self._readers.recognize(request.headers.get(AUTHORIZATION, ""))
        if reader is None:
            self._refused.inc()
            refused = problem_answer(HTTPStatus.UNAUTHORIZED, "a token is needed")
            refused.headers[WWW_AUTHENTICATE] = "Bearer"
            return refused
        fields = ((name.lower(), value) for name, value in request.headers.items())
        if self._readers.is_open and (foreign := self._own.refusal(fields)):
            self._refused.inc()
            told = f"{foreign}: refused, a web page may have sent this. Set STREAMS_READ_TOKENS, or ask for loopback"
            return problem_answer(HTTPStatus.FORBIDDEN, told)
        if reader.name in self._readers.names and not reader.is_worker:
            self._reads.labels(reader.name).inc()
        request[_READER] = reader
        return await handler(request)

    async def sms(self, request: web.Request) -> web.Response:
        """Answer with an SMS, from the partitions of any worker."""
        key = request.match_info["key"]
        if not _is_key(key):
            return _unknown()
        if unsure := self._unsure_of_erasures():
            return unsure
        self._app.pulse.check_pause()
        owned = self._app.sms.checkpointer.owned
        for mine in owned.values():
            found = find_sms(mine.partition.rows, key, self._app.erasures.known.all)
            if found is not None:
                return _answer(request, found)
        return await self._search_others(request, key, set(owned))

    def _unsure_of_erasures(self) -> web.Response | None:
        """Return the answer while not all erasures are known, also those of former owners; None while they are."""
        owned = self._app.sms.checkpointer.owned.values()
        if self._app.erasures.known.is_current and all(mine.partition.knows_erasures for mine in owned):
            return None
        return _ask_again("Kafka does not tell which numbers are erased")

    async def _search_others(self, request: web.Request, key: str, searched: set[int]) -> web.Response:
        """Ask every other worker. `searched` are the partitions searched without success so far."""
        if _is_forwarded(request):
            return _unknown(searched)
        for answer in await self._ask_others(self._app.sms, f"/sms/{quote(key, safe='')}"):
            if answer.status == HTTPStatus.OK:
                return _answer(request, answer.body)
            searched |= answer.searched
        return self._ask_again_for_missing(searched) or _unknown(searched)

    async def _ask_others(
        self, table: CheckpointedTable, path: str, query: Iterable[tuple[str, str]] = ()
    ) -> list[PeerAnswer]:
        """Return the answers of all other workers, as many as come."""
        owners = self.peers.all(table.checkpointer.changelog)
        answers = await asyncio.gather(*(self.peers.ask(owner, path, dict(query)) for owner in owners))
        return [answer for answer in answers if answer is not None]

    def _ask_again_for_missing(self, searched: set[int]) -> web.Response | None:
        """Return the answer when not all partitions were searched; None when they were."""
        missing = sorted(set(range(self._app.conf.topic_partitions)) - searched)
        return (
            _ask_again(f"partitions {missing} are being taken over, or their owner does not answer")
            if missing
            else None
        )

    async def message(self, request: web.Request) -> web.Response:
        """Answer with a message and its parts."""
        key = request.match_info["key"]
        if not _is_key(key):
            return _unknown()
        if unsure := self._unsure_of_erasures():
            return unsure
        partition = partition_of(key, self._app.conf.topic_partitions)
        path = f"/messages/{quote(key, safe='')}"
        view = partial(message_view, erased=self._app.erasures.known.all)
        return await self._answer(request, path, self._app.sms, partition, message_key(key), view)

    async def campaign(self, request: web.Request) -> web.Response:
        """Answer with the progress of a campaign."""
        key = request.match_info["key"]
        if not _is_key(key):
            return _unknown()
        partition = self._app.routing.partition(Output(CAMPAIGN_PARTIALS, key.lower().encode(), b""), 0)
        path = f"/campaigns/{quote(key, safe='')}"
        return await self._answer(request, path, self._app.campaigns, partition, campaign_key(key), campaign_view)

    async def _answer(  # noqa: PLR0913, PLR0917 - a key in the words of HTTP and of the rows
        self, request: web.Request, path: str, table: CheckpointedTable, partition: int, key: bytes, view: View
    ) -> web.Response:
        self._app.pulse.check_pause()
        owned = table.checkpointer.owned.get(partition)
        if owned is None:
            return await self._ask_owner(request, path, table, partition)
        found = view(owned.partition.rows, key)
        return _unknown() if found is None else _answer(request, found)

    async def _ask_owner(
        self, request: web.Request, path: str, table: CheckpointedTable, partition: int
    ) -> web.Response:
        owner = self.peers.owner(table.checkpointer.changelog, partition)
        if owner is None or _is_forwarded(request):
            return _ask_again(f"partition {partition} is being taken over")
        answer = await self.peers.ask(owner, path, dict(request.query))
        if answer is None:
            return _ask_again(f"the owner of partition {partition} does not answer")
        if answer.status == HTTPStatus.OK:
            return _answer(request, answer.body)
        return _unknown() if answer.status == HTTPStatus.NOT_FOUND else _ask_again(answer.body.get("detail"))

    async def campaigns(self, request: web.Request) -> web.Response:
        """Answer with a page of campaigns, of all workers."""
        wanted, faults = read_query([*request.query.items()])
        if faults:
            return problem_answer(HTTPStatus.BAD_REQUEST, "; ".join(faults))
        if _is_forwarded(request):
            own = await self._lists.page(wanted)
            return _json(_page(own.records, wanted, has_more=own.has_more) | {"searched": own.searched})
        asking = self._ask_others(self._app.campaigns, "/campaigns", request.query.items())
        own, answers = await asyncio.gather(self._lists.page(wanted), asking)
        searched = set(own.searched).union(*(answer.searched for answer in answers))
        return self._ask_again_for_missing(searched) or _answer(request, _merged(own, answers, wanted))

    async def delivery(self, request: web.Request) -> web.Response:
        """Answer with a page of cells of deliveries, of all workers."""
        wanted, faults = read_cell_query([*request.query.items()])
        if faults:
            return problem_answer(HTTPStatus.BAD_REQUEST, "; ".join(faults))
        if _is_forwarded(request):
            own = await self._cells.page(wanted)
            return _json(_cell_page(own.records, has_more=own.has_more) | {"searched": own.searched})
        asking = self._ask_others(self._app.deliveries, "/delivery", request.query.items())
        own, answers = await asyncio.gather(self._cells.page(wanted), asking)
        searched = set(own.searched).union(*(answer.searched for answer in answers))
        return self._ask_again_for_missing(searched) or _answer(request, _merged_cells(own, answers, wanted.limit))

    async def alarms(self, request: web.Request) -> web.Response:
        """Answer with the alarms, the one that changed last first."""
        wanted, faults = read_alarm_query([*request.query.items()])
        if faults:
            return problem_answer(HTTPStatus.BAD_REQUEST, "; ".join(faults))

        def view(rows: Rows, _key: bytes) -> dict[str, Any]:
            return {"alarms": told_alarms(rows, wanted), "mutes": told_mutes(rows)}

        path = "/alarms"
        return await self._answer(request, path, self._app.alarms, WATCHED_PARTITION, b"", view)


def _merged_cells(own: OwnCells, answers: Iterable[PeerAnswer], limit: int) -> dict[str, Any]:
    """Return the first cells of the pages of all workers; each has at least as many as the whole may have of it."""
    pages = [answer.body for answer in answers if answer.status == HTTPStatus.OK]
    records = [*own.records, *(record for page in pages for record in page["cells"])]
    # A partition that was handed over meanwhile may be in two of them: the newest record of a cell stands.
    newest = {record["cell"]: record for record in sorted(records, key=_age)}
    found = sorted(newest.values(), key=lambda record: place_of(record["cell"]))
    has_more = own.has_more or len(found) > limit or any(page["next"] for page in pages)
    return _cell_page(found[:limit], has_more=has_more)


def _cell_page(records: list[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    return {"cells": records, "next": cursor_after_cell(records[-1]) if records and has_more else None}


def _merged(own: OwnPage, answers: Iterable[PeerAnswer], wanted: Wanted) -> dict[str, Any]:
    """Return the first campaigns of the pages of all workers; each has at least as many as the whole may have of it."""
    pages = [answer.body for answer in answers if answer.status == HTTPStatus.OK]
    # A partition that was handed over meanwhile may be in two of them: the newest record of a campaign stands.
    records: dict[str, dict[str, Any]] = {}
    for record in [*own.records, *(record for page in pages for record in page["campaigns"])]:
        known = records.setdefault(record["campaign_tracking_id"].lower(), record)
        if _age(known) < _age(record):
            records[record["campaign_tracking_id"].lower()] = record
    found = [record for _, record in sorted(records.items())]
    found.sort(key=lambda record: time_of(wanted.state, record), reverse=True)
    has_more = own.has_more or len(found) > wanted.limit or any(page["next"] for page in pages)
    return _page(found[: wanted.limit], wanted, has_more=has_more)


def _age(record: dict[str, Any]) -> tuple[int, int]:
    return record["generation"], record["revision"]


def _page(records: list[dict[str, Any]], wanted: Wanted, *, has_more: bool) -> dict[str, Any]:
    follows = cursor_after(wanted.state, records[-1]) if records and has_more else None
    return {"campaigns": records, "next": follows}


def _is_key(text: str) -> bool:
    """Return whether a text may be a key. The bytes of a request that are no UTF-8 are no character of a key."""
    return 0 < len(text) <= KEY_MAX_CHARS and not any("\ud800" <= char <= "\udfff" for char in text)


def _ask_again(why: str | None) -> web.Response:
    return problem_answer(HTTPStatus.SERVICE_UNAVAILABLE, why, retry_after=1)


def _unknown(searched: Iterable[int] | None = None) -> web.Response:
    told = "not known, or forgotten"
    if searched is None:
        return problem_answer(HTTPStatus.NOT_FOUND, told)
    return problem_answer(HTTPStatus.NOT_FOUND, told, searched=sorted(searched))


def _answer(request: web.Request, view: dict[str, Any]) -> web.Response:
    """Return a view as the reader may see it, or 304 to a reader who has it already."""
    answer = _json(view if request[_READER].sees_all else masked(view))
    body = answer.body
    tag = ETag(blake2b(body if isinstance(body, bytes) else b"", digest_size=16).hexdigest())
    known = request.if_none_match or ()
    if any(one.value in ("*", tag.value) for one in known):
        answer = web.Response(status=HTTPStatus.NOT_MODIFIED)
    answer.etag = tag
    # A reader may keep it, and asks whether it is still so. Two readers may see different things at one address.
    answer.headers[CACHE_CONTROL] = "private, no-cache"
    answer.headers[VARY] = AUTHORIZATION
    return answer


def _is_forwarded(request: web.Request) -> bool:
    """Return whether another worker asks, who asks all others by itself. A stranger's word for it does not count."""
    return FORWARDED in request.headers and (request[_READER].is_worker or request[_READER] is LOCAL)


def _json(body: dict[str, Any]) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json")
