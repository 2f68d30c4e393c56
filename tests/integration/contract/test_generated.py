"""Requests made from the OpenAPI document: no answer is an error of the server's, and the document describes each."""

from collections import Counter
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import hypothesis
import orjson
import pytest
import requests
import schemathesis
import yaml
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from sandbox.kafka import KafkaCluster
from streams.contract import documents
from streams.contract.keys import partition_of
from tests.builders import campaign_report, envelope, sms_callback
from tests.integration.contract.test_answers import SETTINGS, TOKENS
from tests.integration.streams.test_views import share_partitions
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.toy_worker import ToyWorker
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka

SCHEMA = schemathesis.openapi.from_dict(yaml.safe_load(documents.checked_in()["openapi.yaml"]))
SINGLE = ("/sms/{key}", "/messages/{key}", "/campaigns/{key}")
LISTS = ("/campaigns", "/delivery")
PAGES = ("/livez", "/readyz", "/metrics")
PAGE_REQUESTS = 10
DESCRIBED = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
KEYS = ["a", "A#2", "a/b", "Ω 1", "%41", "b?c=d"]
"""Of an SMS, its message and its campaign."""


@pytest.mark.parametrize(
    "requests_in_all", [400, pytest.param(10_000, marks=[pytest.mark.full, pytest.mark.timeout(1800)])]
)
def test_every_generated_request_has_an_answer_that_is_described(
    requests_in_all: int, kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    here = {"STREAMS_WEB_HOST": "127.0.0.1"}
    with (
        Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=4, **SETTINGS, **here) as lab,
        requests.Session() as session,
    ):
        lab.create_topics()
        workers = [lab.start(rules="product"), lab.start(rules="product")]
        share_partitions(workers)
        for key in KEYS:
            bodies = [sms_callback(message_id=key, sms_id=f"s{key}", campaign=key), campaign_report(campaign=key)]
            lab.produce([(partition_of(key, 4), envelope(body)) for body in bodies])
        lab.drain()
        reading = Reading(workers, session)
        for path in PAGES:
            reading.ask(path, SCHEMA[path]["GET"].as_strategy(), PAGE_REQUESTS)
        count = requests_in_all // (len(SINGLE) + len(LISTS) + 1)
        for path in SINGLE:
            reading.ask(path, requests_for_one(path), count)
        for path in LISTS:
            reading.ask(path, requests_for_lists(path, cursors_of(workers[0], path)), count)
        reading.ask("/alarms", requests_for_alarms(), count)
        assert [worker.log.count("a request failed") for worker in workers] == [0, 0]
    asked = reading.answers
    assert asked.total() >= requests_in_all * 0.9, asked
    assert {(path, 200) for path in (*SINGLE, *LISTS, "/alarms", *PAGES)} <= asked.keys()
    assert {(path, 404) for path in SINGLE} <= asked.keys()
    assert {(path, status) for path in (*LISTS, "/alarms") for status in (400, 401)} <= asked.keys()


class Reading:
    """A client of two workers that holds each answer against the document, and counts them by path and status."""

    def __init__(self, workers: list[ToyWorker], session: requests.Session) -> None:
        self._workers = workers
        self._session = session
        self.answers: Counter[tuple[str, int]] = Counter()

    def ask(self, path: str, cases: st.SearchStrategy[Any], count: int) -> None:
        """Send so many requests, to either worker."""

        @hypothesis.settings(max_examples=count)
        @hypothesis.given(
            case=cases, worker=st.sampled_from(self._workers), token=st.sampled_from([*TOKENS.values(), "none"])
        )
        def ask(case: Any, worker: ToyWorker, token: str) -> None:  # noqa: ANN401
            port = worker.admin_port if path in PAGES else worker.port
            headers = {**case.headers, "Authorization": f"Bearer {token}"}
            eventually(lambda: self._is_answered(path, case, f"http://127.0.0.1:{port}", headers), 60, every=0.5)

        ask()

    def _is_answered(self, path: str, case: Any, url: str, headers: dict[str, str]) -> bool:  # noqa: ANN401
        """Ask, as the document says also again: on a busy machine a worker may not answer the other one in time."""
        answer = case.call(base_url=url, session=self._session, headers=headers)
        is_answered = bool(answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE)
        case.validate_response(answer, checks=[checks.not_a_server_error, *DESCRIBED] if is_answered else DESCRIBED)
        self.answers[path, answer.status_code] += is_answered
        return is_answered


def requests_for_one(path: str) -> st.SearchStrategy[Any]:
    """Return requests with any key, and with keys that are known."""
    operation = SCHEMA[path]["GET"]
    known = [quote(f"s{key}" if "sms" in path else key, safe="") for key in KEYS]
    about_known: list[st.SearchStrategy[Any]] = [operation.as_strategy(path_parameters={"key": key}) for key in known]
    return st.one_of(operation.as_strategy(), st.one_of(about_known))


def requests_for_lists(path: str, cursors: list[str]) -> st.SearchStrategy[Any]:
    """Return right and wrong requests, without parameters, with any, and with these cursors."""
    operation = SCHEMA[path]["GET"]
    wrong = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    next_pages: list[st.SearchStrategy[Any]] = [
        operation.as_strategy(query={"cursor": cursor, "limit": 2}) for cursor in cursors
    ]
    return st.one_of(operation.as_strategy(), operation.as_strategy(query={}), st.one_of(next_pages), wrong)


def requests_for_alarms() -> st.SearchStrategy[Any]:
    """Return right and wrong requests for alarms."""
    operation = SCHEMA["/alarms"]["GET"]
    return st.one_of(operation.as_strategy(), operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))


def cursors_of(worker: ToyWorker, path: str) -> list[str]:
    """Return the cursors of a list in pages of one."""
    found: list[str] = []
    while True:
        cursor = f"&cursor={found[-1]}" if found else ""
        asked = Request(
            f"http://127.0.0.1:{worker.port}{path}?limit=1{cursor}",
            headers={"Authorization": f"Bearer {TOKENS['full']}"},
        )
        with urlopen(asked, timeout=30) as answer:  # noqa: S310 - an address of ours
            follows = orjson.loads(answer.read())["next"]
        if follows is None:
            return found
        found.append(follows)
