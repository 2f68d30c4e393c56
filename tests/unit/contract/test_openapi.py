"""The OpenAPI document is valid, and has the routes, refusals and answers of the programs."""

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pytest
import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from console.settings import ConsoleSettings
from ingest.backfill.settings import BackfillSettings
from ingest.http import admission
from ingest.http.admission import Refused
from ingest.settings import IngestSettings
from sinks.settings import SinksSettings
from streams.contract import documents
from streams.contract.answers import MessageAnswer
from streams.contract.problems import REFUSALS, problem
from streams.settings import StreamsSettings
from tests.builders import ABSENT, sms_callback
from tests.support.compatibility import http_changes
from tests.support.markdown import ROOT
from tests.unit.streams.domain.pipeline import Pipeline

Tree = dict[str, Any]
OPENAPI: Tree = yaml.safe_load(documents.checked_in()["openapi.yaml"])
METHOD_NOT_ALLOWED = 405


def test_the_openapi_document_has_the_form_of_its_standard() -> None:
    assert list(OpenAPIV31SpecValidator(OPENAPI).iter_errors()) == []
    wrong = copy.deepcopy(OPENAPI)
    del wrong["paths"]["/sms/{key}"]["get"]["responses"]["200"]["description"]
    assert list(OpenAPIV31SpecValidator(wrong).iter_errors()) != []


def test_it_has_every_refusal_of_a_callback() -> None:
    refused = {one.status for one in vars(admission).values() if isinstance(one, Refused)} - {METHOD_NOT_ALLOWED}
    assert refused == REFUSALS.keys()
    for path in ("/callbacks", "/callbacks/{secret}"):
        told = {int(status) for status in OPENAPI["paths"][path]["post"]["responses"]}
        assert told == {200} | refused


def test_it_has_every_route_of_the_pages_and_of_the_read_api() -> None:
    sources = [*(ROOT / "streams").rglob("*.py")]
    routes = {route for file in sources for route in re.findall(r'web\.get\("([^"]+)"', file.read_text())}
    assert routes
    assert routes == {path for path, item in OPENAPI["paths"].items() if "get" in item}


def test_each_path_is_told_at_the_addresses_that_the_programs_have_by_default() -> None:
    defaults = {
        f"http://127.0.0.1:{field.default}": name.upper()
        for model in (IngestSettings, BackfillSettings, StreamsSettings, SinksSettings, ConsoleSettings)
        for name, field in model.model_fields.items()
        if name in ("ingest_port", "streams_web_port") or name.endswith("_admin_port")
    }
    pages = {name for name in defaults.values() if name.endswith("_ADMIN_PORT")}
    for path, item in OPENAPI["paths"].items():
        told = {one["url"]: one["description"].rpartition(" ")[2] for one in item["servers"]}
        assert told.items() <= defaults.items()
        of_callbacks = {"INGEST_PORT"} if path.startswith("/callbacks") else {"STREAMS_WEB_PORT"}
        assert {*told.values()} == (pages if path in ("/livez", "/readyz", "/metrics") else of_callbacks)


@pytest.mark.parametrize("campaign", [ABSENT, "c-1"])
def test_the_answer_about_a_message_is_valid_and_has_each_field(campaign: object) -> None:
    pipeline = Pipeline()
    for part in (1, 2):
        pipeline.send(sms_callback(sms_id=f"s-{part}", part=part, parts=3, campaign=campaign))
    answer = pipeline.message()
    assert answer.keys() == MessageAnswer.model_fields.keys()
    assert answer["sms"][0].keys() == pipeline.revisions[0].keys()
    valid("MessageAnswer", answer)


def test_the_examples_fit_the_schemas() -> None:
    for path, model in (("/sms/{key}", "SmsStatus"), ("/campaigns/{key}", "CampaignProgress")):
        content = OPENAPI["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
        valid(model, content["examples"]["record"]["value"])


@pytest.mark.parametrize("more", [{}, {"searched": [0, 1]}])
def test_a_problem_is_valid(more: Tree) -> None:
    valid("Problem", orjson.loads(problem(404, "unknown", **more)))
    valid("Problem", orjson.loads(problem(503)))


def valid(model: str, value: object) -> None:
    schema = {"$ref": f"#/components/schemas/{model}", "components": OPENAPI["components"]}
    Draft202012Validator(schema).validate(value)


def get(document: Tree, path: str = "/sms/{key}") -> Tree:
    found: Tree = document["paths"][path]["get"]
    return found


def listing(document: Tree) -> Tree:
    return get(document, "/campaigns")


def parameter(document: Tree, name: str) -> Tree:
    """Return a parameter of the list of campaigns."""
    found: Tree = next(one for one in listing(document)["parameters"] if one["name"] == name)
    return found


def body(document: Tree) -> Tree:
    """Return the kinds of bodies that ingest takes."""
    found: Tree = post(document)["requestBody"]["content"]
    return found


def one_or_several(document: Tree) -> list[Tree]:
    """Return the forms of a body in JSON."""
    found: list[Tree] = body(document)["application/json"]["schema"]["anyOf"]
    return found


def post(document: Tree) -> Tree:
    found: Tree = document["paths"]["/callbacks/{secret}"]["post"]
    return found


def model(document: Tree, name: str) -> Tree:
    found: Tree = document["components"]["schemas"][name]
    return found


Edit = Callable[[Tree], object]
BREAKING: Mapping[str, Edit] = {
    "a path is gone": lambda d: d["paths"].pop("/messages/{key}"),
    "a method is gone": lambda d: d["paths"]["/metrics"].pop("get"),
    "a field of an answer is gone": lambda d: model(d, "MessageAnswer")["properties"].pop("price"),
    "a field of a part is gone": lambda d: model(d, "SmsStatus")["properties"].pop("status"),
    "a field may be missing": lambda d: model(d, "MessageAnswer")["required"].remove("sms"),
    "an answer is no JSON": lambda d: get(d)["responses"]["200"].update(content={"text/plain": {}}),
    "a status is gone": lambda d: get(d)["responses"].pop("404"),
    "an answer does not say when to ask again": lambda d: get(d)["responses"]["503"].pop("headers"),
    "credentials are needed": lambda d: get(d).update(security=[{"token": []}]),
    "credentials are needed for a callback": lambda d: post(d).update(security=[{"token": []}]),
    "a parameter is needed": lambda d: get(d)["parameters"].append(
        {"name": "part", "in": "query", "required": True, "schema": {"type": "integer"}}
    ),
    "a parameter takes less": lambda d: get(d)["parameters"][0].update(schema={"type": "string", "pattern": "^[a-f]"}),
    "a parameter is not read": lambda d: get(d)["parameters"].clear(),
    "a parameter has another name": lambda d: get(d)["parameters"][0].update(name="id"),
    "a parameter is read elsewhere": lambda d: parameter(d, "state").update({"in": "header"}),
    "a parameter takes a word less": lambda d: parameter(d, "state")["schema"]["enum"].remove("finished"),
    "a parameter takes a smaller number": lambda d: parameter(d, "limit")["schema"].update(maximum=50),
    "a parameter means something else when it is left out": lambda d: parameter(d, "limit")["schema"].pop("default"),
    "a parameter is written otherwise": lambda d: parameter(d, "state").update(style="spaceDelimited"),
    "a parameter is no longer optional": lambda d: parameter(d, "state").update(required=True),
    "a body is needed": lambda d: get(d).update(requestBody={"required": True, "content": {}}),
    "a body of any kind is not read": lambda d: body(d).pop("*/*"),
    "several callbacks are not read": lambda d: one_or_several(d).pop(),
    "fewer callbacks are read": lambda d: one_or_several(d)[1].update(maxItems=50),
    "a body needs a field": lambda d: one_or_several(d)[0].update(required=["messageId"]),
    "a known field of a body is of one type": lambda d: one_or_several(d)[0].update(
        properties={"messageId": {"type": "string"}}, required=["messageId"]
    ),
    "the credentials are others": lambda d: d["components"]["securitySchemes"]["token"].update(scheme="basic"),
    "no credentials are not enough": lambda d: get(d)["security"].remove({}),
    "a header of an answer is a text": lambda d: get(d)["responses"]["503"]["headers"]["Retry-After"].update(
        schema={"type": "string"}
    ),
    "an operation has another name": lambda d: get(d).update(operationId="fetch_sms"),
    "a path is at another address": lambda d: d["paths"]["/sms/{key}"]["servers"][0].update(url="http://127.0.0.1:1"),
}
HARMLESS: Mapping[str, Edit] = {
    "nothing": lambda d: d,
    "a path more": lambda d: d["paths"].update({"/more": d["paths"]["/metrics"]}),
    "a field more": lambda d: model(d, "MessageAnswer")["properties"].update(cost={"type": "integer"}),
    "a parameter more": lambda d: get(d)["parameters"].append(
        {"name": "fields", "in": "query", "schema": {"type": "string"}}
    ),
    "a status more": lambda d: get(d)["responses"].update({"429": {"description": "too many requests"}}),
    "other words": lambda d: get(d).update(summary="Get it", description="At once."),
    "a parameter takes a word more": lambda d: parameter(d, "state")["schema"]["enum"].append("stalled"),
    "a parameter takes any word": lambda d: parameter(d, "state")["schema"].pop("enum"),
    "a parameter takes a greater number": lambda d: parameter(d, "limit")["schema"].update(maximum=1000),
    "a parameter takes other forms, too": lambda d: parameter(d, "since")["schema"].pop("format"),
    "more callbacks are read": lambda d: one_or_several(d)[1].update(maxItems=500),
    "a field of a body is told": lambda d: one_or_several(d)[0].update(properties={"messageId": {}}),
    "a kind of body more": lambda d: body(d).update({"application/cbor": {"schema": {}}}),
    "a header of an answer more": lambda d: get(d)["responses"]["200"]["headers"].update(Age={"schema": {}}),
    "no credentials are needed": lambda d: get(d).update(security=[{}]),
    "another address, too": lambda d: d["paths"]["/sms/{key}"]["servers"].append({"url": "http://127.0.0.1:1"}),
}


def edited(edit: Edit) -> Tree:
    document = copy.deepcopy(OPENAPI)
    edit(document)
    return document


@pytest.mark.parametrize("name", BREAKING)
def test_a_change_that_breaks_a_client_is_refused(name: str) -> None:
    assert [str(change) for change in http_changes(OPENAPI, edited(BREAKING[name]))] != []


@pytest.mark.parametrize("name", HARMLESS)
def test_a_change_that_breaks_no_client_passes(name: str) -> None:
    assert [str(change) for change in http_changes(OPENAPI, edited(HARMLESS[name]))] == []
