"""
The OpenAPI document: the callbacks of ingest, the read API of streams, and the pages of all programs.

Tests compare it with the routes and refusals of the programs.
"""

from typing import Any, Final

from pydantic import BaseModel

from streams.contract.answers import (
    PAGE_MOST,
    AlarmList,
    CampaignPage,
    CampaignState,
    DeliveryPage,
    MessageAnswer,
    Problem,
)
from streams.contract.headers import VERSION
from streams.contract.problems import PROBLEM_JSON, REFUSALS
from streams.contract.records import CampaignProgress, SmsStatus
from streams.contract.schemas import components_of, examples_of, reference

_ABOUT: Final = (
    "The programs, each on addresses of its own: Routee posts callbacks to ingest, readers ask streams, operators ask "
    "the pages of each."
)
_INGEST: Final = [{"url": "http://127.0.0.1:8080", "description": "INGEST_HOST, INGEST_PORT"}]
_STREAMS: Final = [{"url": "http://127.0.0.1:6066", "description": "STREAMS_WEB_BIND, STREAMS_WEB_PORT"}]
_PAGES: Final = [
    {"url": f"http://127.0.0.1:{port}", "description": f"{name}_ADMIN_HOST, {name}_ADMIN_PORT"}
    for name, port in (("INGEST", 9101), ("SINKS", 9102), ("STREAMS", 9103), ("BACKFILL", 9105), ("CONSOLE", 9106))
]
_RETRY: Final = {"Retry-After": {"description": "seconds to wait before the next try", "schema": {"type": "integer"}}}
_LINES: Final = {"text/plain": {"schema": {"type": "string"}}}
_PROBLEM: Final = {PROBLEM_JSON: {"schema": reference(Problem)}}
_KEPT: Final = {
    "ETag": {"description": "changes with the answer", "schema": {"type": "string"}},
    "Cache-Control": {"description": "private, no-cache: ask whether it is still so", "schema": {"type": "string"}},
    "Vary": {"description": "Authorization: readers may see different things", "schema": {"type": "string"}},
}
_KNOWN: Final = {
    "name": "If-None-Match",
    "in": "header",
    "description": "ETags of answers that are known",
    "schema": {"type": "string"},
}


def openapi() -> dict[str, Any]:
    """Return the document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "routee-callbacks",
            "version": f"{VERSION}",
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "tags": [
            {"name": "ingest", "description": "takes callbacks"},
            {"name": "streams", "description": "answers readers, from any worker"},
            {"name": "pages", "description": "of each program, for its operators; not for the internet"},
        ],
        "paths": _callbacks() | _answers() | _pages(),
        "components": {
            "schemas": components_of(
                (SmsStatus, MessageAnswer, CampaignProgress, CampaignPage, DeliveryPage, AlarmList, Problem)
            ),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "one of STREAMS_READ_TOKENS"}
            },
        },
    }


def _callbacks() -> dict[str, Any]:
    secret = _parameter("secret", "one of INGEST_SECRETS, as it is written: no character is encoded")
    return {
        "/callbacks/{secret}": {"servers": _INGEST, "post": _callback("post_callback", [secret])},
        "/callbacks": {"servers": _INGEST, "post": _callback("post_open_callback", [])},
    }


def _callback(name: str, parameters: list[Any]) -> dict[str, Any]:
    refused = {f"{status}": _response(why, _PROBLEM) for status, why in REFUSALS.items()}
    refused["503"]["headers"] = _RETRY
    taken = "stored on all in-sync replicas of Kafka; a body that is no callback is stored in routee.callbacks.rejected"
    one = {"type": "object"}
    several = {"type": "array", "items": one, "minItems": 2, "maxItems": 100}
    body = {
        "required": True,
        "description": "one callback of Routee, or a JSON array of 2 to 100, of any content type; a body may be gzip",
        "content": {"application/json": {"schema": {"anyOf": [one, several]}}, "*/*": {"schema": {}}},
    }
    return {
        "operationId": name,
        "tags": ["ingest"],
        "summary": "Take one callback" if parameters else "Take one callback, when INGEST_SECRETS is empty",
        "parameters": parameters,
        "requestBody": body,
        "responses": {"200": {"description": taken}} | refused,
    }


def _answers() -> dict[str, Any]:
    return {
        "/sms/{key}": _single("get_sms", SmsStatus, "sms_key, with # as %23, in any case", "sms.status"),
        "/messages/{key}": _single("get_message", MessageAnswer, "message_id, in any case"),
        "/campaigns/{key}": _single(
            "get_campaign", CampaignProgress, "campaign_tracking_id, in any case", "campaign.progress"
        ),
        "/campaigns": _list(),
        "/delivery": _cells(),
        "/alarms": _alarms(),
    }


def _single(name: str, model: type[BaseModel], key: str, topic: str | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"schema": reference(model)}
    if topic:
        found["examples"] = {"record": {"value": examples_of(topic)[-1]}}
    encoded = f"{key}; percent-encoded, as is each character that has a meaning in a URL"
    return _answered(
        name,
        f"Get the latest state of one {name.removeprefix('get_')}",
        "",
        [_parameter("key", encoded)],
        {
            "200": _response("the latest state", {"application/json": found}) | {"headers": _KEPT},
            "404": _response("not known, or forgotten", _PROBLEM),
        },
    )


def _list() -> dict[str, Any]:
    moment = {"type": "string", "format": "date-time"}
    parameters = [
        _query("state", "all when it is left out", {"type": "string", "enum": [one.value for one in CampaignState]}),
        _query("since", "from this moment on: of the end with state=finished, else of the beginning", moment),
        _query("until", "before this moment, of the same kind", moment),
        _query("limit", "campaigns of a page", {"type": "integer", "minimum": 1, "maximum": PAGE_MOST, "default": 100}),
        _query("cursor", "`next` of the page before, with the same state, since and until", {"type": "string"}),
    ]
    about = (
        "Newest first: by finished_at with state=finished, else by first_received_at. No campaign is missing: where "
        "not all partitions answer, the answer is 503. There is no search by number or name: ask ClickHouse. "
    )
    found = {"application/json": {"schema": reference(CampaignPage)}}
    return _answered(
        "list_campaigns",
        "Get campaigns, a page at a time",
        about,
        parameters,
        {
            "200": _response("a page", found) | {"headers": _KEPT},
            "400": _response("the query is wrong: each fault is named", _PROBLEM),
        },
    )


def _cells() -> dict[str, Any]:
    text, moment = {"type": "string"}, {"type": "string", "format": "date-time"}
    parameters = [
        _query("country", "Routee's code; all when it is left out", text),
        _query("operator", "its name as Routee writes it; all when it is left out", text),
        _query("since", "windows that end after this moment", moment),
        _query("until", "windows that begin before this moment", moment),
        _query("limit", "cells of a page", {"type": "integer", "minimum": 1, "maximum": PAGE_MOST, "default": 100}),
        _query("cursor", "`next` of the page before, with the same country, operator, since and until", text),
    ]
    about = (
        "Counts of SMS by five minutes of sending and route, newest first. No cell is missing: where not all "
        "partitions answer, the answer is 503. "
    )
    return _answered(
        "list_cells",
        "Get cells of deliveries, a page at a time",
        about,
        parameters,
        {
            "200": _response("a page", {"application/json": {"schema": reference(DeliveryPage)}}) | {"headers": _KEPT},
            "400": _response("the query is wrong: each fault is named", _PROBLEM),
        },
    )


def _alarms() -> dict[str, Any]:
    found = {"application/json": {"schema": reference(AlarmList)}}
    return _answered(
        "list_alarms",
        "Get the alarms of deliveries",
        "The one that changed last first: all that are open, and the last of the closed ones. ",
        [_query("open", "only open alarms, or only closed ones; all when it is left out", {"type": "boolean"})],
        {
            "200": _response("the alarms", found) | {"headers": _KEPT},
            "400": _response("the query is wrong: each fault is named", _PROBLEM),
        },
    )


def _answered(name: str, summary: str, about: str, parameters: list[Any], responses: dict[str, Any]) -> dict[str, Any]:
    """Return an operation of the read API, with the answers that all of them have."""
    operation = {
        "operationId": name,
        "tags": ["streams"],
        "summary": summary,
        "description": f"{about}Includes changes that become durable with the next flush. A `masked` token sees no "
        "phone number and no text.",
        "parameters": [*parameters, _KNOWN],
        # Without STREAMS_READ_TOKENS, which only a loopback address allows, no token is asked for.
        "security": [{"token": []}, {}],
        "responses": dict(sorted((responses | _refused()).items())),
    }
    return {"servers": _STREAMS, "get": operation}


def _refused() -> dict[str, Any]:
    return {
        "304": {"description": "the answer is still the one with an ETag of If-None-Match", "headers": _KEPT},
        "401": _response("a token is needed", _PROBLEM)
        | {"headers": {"WWW-Authenticate": {"description": "Bearer", "schema": {"type": "string"}}}},
        "403": _response("no token is needed here, so a request that a web page may have sent is refused", _PROBLEM),
        "503": _response("a partition is being taken over, or its owner does not answer: ask again", _PROBLEM)
        | {"headers": _RETRY},
    }


def _pages() -> dict[str, Any]:
    metrics = {"text/plain; version=0.0.4": {"schema": {"type": "string"}}}
    return {
        "/livez": _page("get_livez", "Whether the program works", "it does not: a restart may help"),
        "/readyz": _page("get_readyz", "Whether the program is ready for work", "it is not, and why"),
        "/metrics": {
            "servers": _PAGES,
            "get": _page_operation("get_metrics", "Get the metrics in Prometheus' form")
            | {"responses": {"200": _response("the metrics", metrics)}},
        },
    }


def _page(name: str, summary: str, otherwise: str) -> dict[str, Any]:
    said = _LINES | {"application/json": {"schema": {"type": "object"}}}  # streams answers in JSON
    responses = {"200": _response("it does", said), "503": _response(otherwise, _PROBLEM) | {"headers": _RETRY}}
    return {"servers": _PAGES, "get": _page_operation(name, summary) | {"responses": responses}}


def _page_operation(name: str, summary: str) -> dict[str, Any]:
    return {"operationId": name, "tags": ["pages"], "summary": summary}


def _parameter(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": {"type": "string"}}


def _query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _response(description: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": content}
