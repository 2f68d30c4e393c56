"""A worker's answers are those of the OpenAPI document: each path, each status, for each kind of reader."""

from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import orjson
import pytest
import yaml
from jsonschema import Draft202012Validator

from sandbox.kafka import KafkaCluster
from streams.contract import documents
from streams.contract.keys import partition_of
from tests.builders import ABSENT, CAMPAIGN_ID, MESSAGE_ID, campaign_report, envelope, sms_callback
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.toy_worker import ToyWorker
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka

OPENAPI: dict[str, Any] = yaml.safe_load(documents.checked_in()["openapi.yaml"])
READ_API = ("/sms/{key}", "/messages/{key}", "/campaigns/{key}", "/campaigns")
TOKENS = {"full": "full-0123456789abcdef", "masked": "masked-0123456789abcdef"}
SETTINGS = {
    "STREAMS_READ_TOKENS": ",".join(f"{name}:{token}:{name}" for name, token in TOKENS.items()),
    "STREAMS_WORKER_TOKEN": "worker-0123456789abcdef",
}
RECEIVED = "2026-11-22T12:00:00.000Z"


def ask(port: int, path: str, token: str = "") -> tuple[int, str, dict[str, str], bytes]:
    """Return the status, the content type, the headers and the body of an answer."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urlopen(Request(f"http://127.0.0.1:{port}{path}", headers=headers), timeout=30) as answer:
            return answer.status, answer.headers.get_content_type(), dict(answer.headers), answer.read()
    except HTTPError as error:
        return error.code, error.headers.get_content_type(), dict(error.headers), error.read()


def told(worker: ToyWorker, route: str, key: str = "", token: str = "") -> tuple[int, Any]:
    """Ask a worker; return the status and the answer, after holding both against the document."""
    port = worker.port if route in READ_API else worker.admin_port
    status, kind, headers, body = ask(port, route.replace("{key}", quote(key, safe="")), token)
    described = OPENAPI["paths"][route]["get"]["responses"][str(status)]
    assert {name.lower() for name in described.get("headers", {})} <= {name.lower() for name in headers}
    contents = {name.partition(";")[0]: content for name, content in described["content"].items()}
    assert kind in contents
    if not kind.endswith("json"):
        return status, body.decode()
    answer = orjson.loads(body)
    schema = {**contents[kind]["schema"], "components": OPENAPI["components"]}
    Draft202012Validator(schema).validate(answer)
    return status, answer


def test_each_answer_of_a_worker_is_described(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=2, **SETTINGS) as lab:
        lab.create_topics()
        worker = lab.start(rules="product")
        eventually(lambda: worker.is_listening() and told(worker, "/readyz")[0] == 200, 60, every=0.2)
        first = [sms_callback("Sent", parts=2), sms_callback(part=2, parts=2, sms_id=ABSENT)]
        callbacks = [(MESSAGE_ID, one) for one in first] + [(CAMPAIGN_ID, campaign_report(counts={"Sent": 1}))]
        lab.produce([(partition_of(key, 2), envelope(body, received_at=RECEIVED)) for key, body in callbacks])
        lab.drain()
        keys = {
            "/sms/{key}": f"{MESSAGE_ID}#2",
            "/messages/{key}": MESSAGE_ID.upper(),
            "/campaigns/{key}": CAMPAIGN_ID,
        }
        for route, key in keys.items():
            assert told(worker, route, key)[0] == 401
            for token in TOKENS.values():
                assert told(worker, route, "unknown", token)[0] == 404
                status, answer = told(worker, route, key, token)
                assert status == 200
                schema = OPENAPI["paths"][route]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
                model = OPENAPI["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
                assert answer.keys() == model["properties"].keys()
        assert told(worker, "/campaigns")[0] == 401
        status, page = told(worker, "/campaigns", token=TOKENS["masked"])
        assert (status, len(page["campaigns"]), page["next"]) == (200, 1, None)
        for route in ("/livez", "/metrics"):
            assert told(worker, route)[0] == 200
