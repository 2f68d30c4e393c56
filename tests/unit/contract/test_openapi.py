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

from ingest.http import admission
from ingest.http.admission import Refused
from streams.contract import documents
from streams.contract.answers import MessageAnswer
from streams.contract.problems import REFUSALS, problem
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
