"""Lists of campaigns from two workers: whole, in order, page by page, or "ask again"; tags; keys of odd characters."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import orjson
import pytest

from sandbox.kafka import KafkaCluster
from streams.contract.codec import format_time_ms
from streams.contract.keys import partition_of
from tests.builders import campaign_report, envelope, sms_callback
from tests.integration.streams.test_views import share_partitions
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.toy_worker import ToyWorker
from tests.support.problems import problem_in
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka

BEGIN_MS = 1_795_300_000_000
CAMPAIGNS = 130
HERE = {"STREAMS_WEB_HOST": "127.0.0.1"}
Answer = tuple[int, dict[str, Any], dict[str, str]]


def ask(worker: ToyWorker, path: str, token: str = "", **fields: str) -> Answer:
    """Return the status, the answer and the headers in lower case."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    asked = Request(f"http://127.0.0.1:{worker.port}{path}", headers=headers | fields)
    try:
        with urlopen(asked, timeout=30) as answer:  # noqa: S310 - an address of ours
            told = {name.lower(): value for name, value in answer.headers.items()}
            return answer.status, orjson.loads(answer.read()), told
    except HTTPError as error:
        told = {name.lower(): value for name, value in error.headers.items()}
        body = error.read()
        return error.code, problem_in(told["content-type"], error.code, body) if body else {}, told


def name_of(campaign: int) -> str:
    return f"Campaign-{campaign:03}"


def report(campaign: int, status: str = "Running", minute: int | None = None) -> tuple[int, bytes]:
    """Return a report of a campaign that began in the minute of its number, and its partition."""
    at = format_time_ms(BEGIN_MS + (campaign if minute is None else minute) * 60_000)
    body = campaign_report(status, campaign=name_of(campaign), name="Call 6900123789", counts={"Sent": 1})
    return partition_of(name_of(campaign), 4), envelope(body, received_at=at)


def pages(worker: ToyWorker, path: str, token: str, query: dict[str, object]) -> Iterator[dict[str, Any]]:
    """Yield all pages of a list."""
    while True:
        status, page, _ = ask(worker, f"{path}?{urlencode(query)}", token)
        assert status == 200, page
        yield page
        if page["next"] is None:
            return
        query["cursor"] = page["next"]


def listed(worker: ToyWorker, token: str = "", **query: object) -> list[dict[str, Any]]:
    """Return the campaigns of all pages."""
    found = [*pages(worker, "/campaigns", token, query)]
    assert all(len(page["campaigns"]) == query.get("limit", 100) for page in found[:-1])
    return [one for page in found for one in page["campaigns"]]


def cells(worker: ToyWorker, token: str = "", **query: object) -> list[dict[str, Any]]:
    """Return the cells of all pages."""
    return [one for page in pages(worker, "/delivery", token, query) for one in page["cells"]]


def _messages(worker: ToyWorker) -> int:
    return sum(one["messages"] for one in cells(worker, "a" * 32))


def numbers(campaigns: list[dict[str, Any]]) -> list[int]:
    return [int(one["campaign_tracking_id"].rpartition("-")[2]) for one in campaigns]


def moment(minute: int) -> str:
    return format_time_ms(BEGIN_MS + minute * 60_000)


def test_any_worker_lists_all_campaigns_newest_first(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=4, **HERE) as lab:
        lab.create_topics()
        workers = [lab.start(rules="product"), lab.start(rules="product")]
        share_partitions(workers)
        lab.produce([report(number) for number in range(CAMPAIGNS)])
        lab.drain()
        lab.produce([report(number, "Finished", minute=1_000 - number) for number in range(0, CAMPAIGNS, 3)])
        lab.drain()
        finished, newest = [*range(0, CAMPAIGNS, 3)], [*range(CAMPAIGNS - 1, -1, -1)]
        for worker in workers:
            assert numbers(listed(worker)) == newest
            assert numbers(listed(worker, limit=7)) == newest
            assert numbers(listed(worker, state="running", limit=20)) == [n for n in newest if n % 3]
            assert numbers(listed(worker, state="finished", limit=9)) == finished
            assert numbers(listed(worker, state="finished", since=moment(991), until=moment(1_000))) == [3, 6, 9]
            assert numbers(listed(worker, since=moment(10), until=moment(13), limit=1)) == [12, 11, 10]
            assert listed(worker, since=moment(9_999)) == []
            for one in listed(worker, limit=100)[:20]:
                assert ask(worker, f"/campaigns/{one['campaign_tracking_id'].upper()}")[1] == one
            status, told, _ = ask(worker, "/campaigns?state=over&limit=1000&recipient=%2B306900000001")
            assert status == 400
            for fault in ("recipient: it is unknown", "state: running or finished", "limit: a number from 1 to 100"):
                assert fault in told["detail"]
            assert "3069" not in told["detail"]
        assert [worker.log.count("a request failed") for worker in workers] == [0, 0]


FULL, MASKED, WORKERS = (f"{word}-0123456789abcdef" for word in ("full", "masked", "workers"))


def test_an_answer_that_a_reader_has_is_not_sent_again(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    """Its tag changes with the answer, and with what the reader may see."""
    tokens = {"STREAMS_READ_TOKENS": f"desk:{FULL}:full,board:{MASKED}:masked", "STREAMS_WORKER_TOKEN": WORKERS}
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=4, **HERE, **tokens) as lab:
        lab.create_topics()
        workers = [lab.start(rules="product"), lab.start(rules="product")]
        share_partitions(workers)
        sms = sms_callback("Sent", message_id="m-1", sms_id="s-1", campaign=name_of(1))
        sent = envelope(sms, received_at=moment(0))
        lab.produce([report(number) for number in range(20)] + [(partition_of("m-1", 4), sent)])
        lab.drain()
        for path in ("/sms/s-1", "/messages/M-1", f"/campaigns/{name_of(1)}", "/campaigns", "/campaigns?limit=3"):
            tags = {}
            for token in (FULL, MASKED):
                (_, answer, one), (_, same, other) = (ask(worker, path, token) for worker in workers)
                assert (answer, one["etag"]) == (same, other["etag"])
                assert (one["cache-control"], one["vary"]) == ("private, no-cache", "Authorization")
                assert ("6900123789" in orjson.dumps(answer).decode()) is (token == FULL and "campaigns" in path)
                tags[token] = one["etag"]
            assert tags[FULL] != tags[MASKED]
            for known, status in (
                (tags[FULL], 304), (f'"x", W/{tags[FULL]}', 304), ("*", 304), (tags[MASKED], 200), ('"x"', 200)
            ):  # fmt: skip
                for worker in workers:
                    told, answer, headers = ask(worker, path, FULL, **{"If-None-Match": known})
                    assert told == status
                    assert headers["etag"] == tags[FULL]
                    assert headers["cache-control"] == "private, no-cache"
                    assert bool(answer) is (status == 200)
            assert ask(workers[0], path, "", **{"If-None-Match": "*"})[0] == 401
        before = {
            path: ask(workers[0], path, FULL)[2]["etag"] for path in ("/sms/s-1", "/campaigns", "/campaigns?limit=3")
        }
        delivered = envelope(sms_callback(message_id="m-1", sms_id="s-1", campaign=name_of(1)), received_at=moment(1))
        lab.produce([(partition_of("m-1", 4), delivered)])
        lab.drain()
        for path, tag in before.items():
            assert ask(workers[1], path, FULL, **{"If-None-Match": tag})[0] == (304 if "limit" in path else 200)
        assert ask(workers[0], "/campaigns", "x" * 16)[0] == 401


def test_a_list_is_whole_or_there_is_none(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    """While a worker joins, while the other one is dead, and until its partitions are taken over."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=4, **HERE) as lab:
        lab.create_topics()
        first = lab.start_ready(rules="product", session=60.0)
        lab.produce([report(number) for number in range(40)])
        lab.drain()
        seen = set()

        def look(worker: ToyWorker) -> int:
            status, page, headers = ask(worker, "/campaigns")
            seen.add(status)
            if status == 200:
                assert numbers(page["campaigns"]) == [*range(39, -1, -1)]
            else:
                assert (status, headers["retry-after"]) == (503, "1")
                assert "partitions [" in page["detail"]
            return status

        assert look(first) == 200
        second = lab.start(rules="product", session=60.0)
        eventually(lambda: look(first) and second.is_ready(), 60, every=0.05)
        share_partitions([first, second])
        eventually(lambda: look(first) == look(second) == 200, 60, every=0.1)
        first.kill()
        assert {look(second) for _ in range(3)} == {503}
        lab.expel(first)
        eventually(lambda: look(second) == 200, 60, every=0.1)
        assert seen == {200, 503}


ODD = [
    "a#2",
    "a/b",
    "a b",
    "%41",
    "Ωmega+1",
    "a?b=c&d",
    "😀",
    "..a",
    "a;b,c:d@e",
    "\\",
    '"',
    "\x7f",
    "a//b",
    "a%2Fb",
    "ß" * 256,
]
"""Keys with characters that have a meaning in a URL, or are none of its own."""


def test_a_key_of_any_characters_is_found_encoded(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=4, **HERE) as lab:
        lab.create_topics()
        workers = [lab.start(rules="product"), lab.start(rules="product")]
        share_partitions(workers)
        for key in ODD:
            body = sms_callback(message_id=key, sms_id=f"s{key}"[:256], campaign=key)
            lab.produce([(partition_of(key, 4), envelope(body))])
        lab.drain()
        for worker in workers:
            for key in ODD:
                encoded, sms = quote(key, safe=""), f"s{key}"[:256]
                assert ask(worker, f"/messages/{encoded}")[1]["message_id"] == key
                assert ask(worker, f"/campaigns/{encoded}")[1]["campaign_tracking_id"] == key
                assert ask(worker, f"/sms/{quote(sms, safe='')}")[1]["sms_key"] == sms
            assert len(listed(worker, limit=3)) == len(ODD)
            for nothing in ("%FF", "%ED%A0%80", "x" * 257, "%", "%zz", "%00", quote("😀" * 257, safe="")):
                for kind in ("sms", "messages", "campaigns"):
                    assert ask(worker, f"/{kind}/{nothing}")[0] in {400, 404}
        assert [worker.log.count("a request failed") for worker in workers] == [0, 0]


def test_any_worker_lists_the_cells_of_all(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    tokens = f"all:{'a' * 32}:full,few:{'b' * 32}:masked"
    here = {**HERE, "STREAMS_READ_TOKENS": tokens, "STREAMS_WORKER_TOKEN": "c" * 32}
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=4, **here) as lab:
        lab.create_topics()
        workers = [lab.start(rules="product"), lab.start(rules="product")]
        share_partitions(workers)
        bodies = [
            sms_callback(
                "Sent", format_time_ms(BEGIN_MS), message_id=f"m-{number}", sms_id=f"s-{number}", to="+306900000001",
                operator=f"operator {number % 8}", label=f"for 690000000{number % 2}",
            )
            for number in range(80)
        ]  # fmt: skip
        lab.produce([(partition_of(one["messageId"], 4), envelope(one, received_at=moment(1))) for one in bodies])
        lab.drain()
        for worker in workers:
            # Counts of cells leave a moment after the callbacks are committed.
            eventually(lambda worker=worker: _messages(worker) == 80, 30, every=0.2)  # type: ignore[misc]
            whole = cells(worker, "a" * 32)
            assert sorted({one["operator"] for one in whole}) == [f"operator {number}" for number in range(8)]
            assert cells(worker, "a" * 32, limit=3) == whole
            (one,) = cells(worker, "a" * 32, country="GR", operator="operator 3")
            assert (one["messages"], one["label"]) == (10, "for 6900000001")
            assert cells(worker, "a" * 32, country="GR", until=moment(-10)) == []
            assert all(one["label"] is None and "690000000" not in one["cell"] for one in cells(worker, "b" * 32))
            status, told, _ = ask(worker, "/delivery?label=690000000", "a" * 32)
            assert status == 400
            assert "6900" not in told["detail"]
