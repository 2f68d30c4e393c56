"""
Reading the output of the pipeline: rows, counters and topics, and a clear line when a source does not answer.
"""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from kafka import KafkaAdminClient, KafkaProducer

from sandbox.audit import topics
from sandbox.audit.clickhouse import ClickHouse
from sandbox.audit.errors import SourceError
from sandbox.audit.metrics import counter
from sandbox.clickhouse.process import ClickHouseServer
from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port

PAGE = b"""\
# HELP things_total Things.
# TYPE things_total counter
things_total{kind="a",partition="0"} 3.0
things_total{kind="a",partition="1"} 4.0
things_total{kind="b",partition="0"} 1.0
# HELP plain_total Plain.
# TYPE plain_total counter
plain_total 5.0
"""


@pytest.fixture
def metrics() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()
    server.server_close()


def test_a_counter_is_summed_by_one_label(metrics: str) -> None:
    """Other labels, such as the partition, are added up; a missing counter counts as nothing."""
    assert counter(metrics, "things_total", "kind") == {"a": 7, "b": 1}
    assert counter(metrics, "plain_total") == {"": 5}
    assert counter(metrics, "other_total") == {}


@pytest.mark.clickhouse
def test_rows_have_the_forms_of_records(clickhouse: ClickHouseServer) -> None:
    """Decimals as text, times as ISO 8601 in UTC, counts as numbers: as in the topics."""
    source = ClickHouse(clickhouse.url, clickhouse.user, "default", clickhouse.password)
    sql = """
        SELECT toDecimal64('0.036', 8) AS price, toDateTime64('2026-11-22 09:16:54.5', 3, 'UTC') AS at,
               toUInt64(5) AS n, map('Sent', toUInt64(2)) AS counts, CAST(NULL AS Nullable(String)) AS nothing"""
    assert list(source.rows(sql)) == [
        {"price": "0.036", "at": "2026-11-22T09:16:54.500Z", "n": 5, "counts": {"Sent": 2}, "nothing": None}
    ]


@pytest.mark.clickhouse
def test_a_wrong_query_is_told_in_clickhouse_s_words(clickhouse: ClickHouseServer) -> None:
    """The error names the fault."""
    source = ClickHouse(clickhouse.url, clickhouse.user, "default", clickhouse.password)
    with pytest.raises(SourceError, match="no_such_table"):
        list(source.rows("SELECT * FROM no_such_table"))


@pytest.mark.kafka
def test_topics_are_read_to_the_end_they_have(kafka: KafkaCluster, topic_prefix: str) -> None:
    """Every value of every partition, the values of a key in their order."""
    topic = f"{topic_prefix}things"
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    admin.create_topics({topic: {"num_partitions": 3, "replication_factor": 1}})
    admin.wait_for_topics([topic], timeout_ms=60_000)
    admin.close()
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    for number in range(50):
        producer.send(topic, key=b"%d" % (number % 3), value=b'{"n":%d}' % number)
    producer.flush()
    producer.close()
    found = [value["n"] for value in topics.Values(kafka.bootstrap_servers, topic)]
    assert sorted(found) == list(range(50))
    assert [n for n in found if n % 3 == 0] == sorted(n for n in found if n % 3 == 0)


def test_an_address_without_a_server_is_one_line() -> None:
    """Each source names the place that does not answer."""
    port = free_port()
    with pytest.raises(SourceError, match=f"ClickHouse does not answer at http://127.0.0.1:{port}"):
        ClickHouse(f"http://127.0.0.1:{port}", "default", "default").text("SELECT 1")
    with pytest.raises(SourceError, match=f"no metrics at http://127.0.0.1:{port}/metrics"):
        counter(f"http://127.0.0.1:{port}/metrics", "things_total")
    with pytest.raises(SourceError, match=f"Kafka does not answer at 127.0.0.1:{port}"):
        list(topics.Values(f"127.0.0.1:{port}", "things"))
