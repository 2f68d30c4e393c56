"""
A console as a process, with the world in ClickHouse and Kafka.
"""

import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode

import orjson
from kafka import KafkaProducer

from sandbox.clickhouse.process import ClickHouseServer
from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from streams.contract.problems import PROBLEM_JSON
from streams.program.vitals import Vitals
from tests.console.world import PROGRAMS, World
from tests.support.markdown import ROOT
from tests.support.wait import eventually

_PARTITIONS = 2


class _NothingKnown(BaseHTTPRequestHandler):
    """A streams that knows no message."""

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("Content-Type", PROBLEM_JSON)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


class Answering:
    """A read API that knows these messages."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        class Messages(_NothingKnown):
            def do_GET(self) -> None:
                found = known.get(self.path.rpartition("/")[2])
                if found is None:
                    super().do_GET()
                    return
                body = orjson.dumps(found)
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Messages)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


class _Program(ThreadingHTTPServer):
    """The pages for operators of a program that is ready."""

    def __init__(self, name: str, metrics: str) -> None:
        class Pages(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                told = Vitals(name).render() + metrics.encode() if self.path == "/metrics" else b"ready\n"
                self.send_response(200)
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            def log_message(self, *_: object) -> None:
                return

        super().__init__(("127.0.0.1", 0), Pages)
        self.place = f"{name}=http://127.0.0.1:{self.server_address[1]}"


@dataclass
class Stage:
    """Kafka and ClickHouse, with topics and tables of our own, and the processes that were started."""

    kafka: KafkaCluster
    clickhouse: ClickHouseServer
    prefix: str
    database: str
    logs: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    read_api: ThreadingHTTPServer = field(default_factory=lambda: ThreadingHTTPServer(("127.0.0.1", 0), _NothingKnown))

    programs: list[_Program] = field(default_factory=lambda: [_Program(*one) for one in PROGRAMS.items()])

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "KAFKA_TOPIC_PREFIX": self.prefix,
            "KAFKA_PARTITIONS": str(_PARTITIONS),
            "CLICKHOUSE_URL": self.clickhouse.url,
            "CLICKHOUSE_PASSWORD": self.clickhouse.password,
            "CLICKHOUSE_DATABASE": self.database,
            "CONSOLE_CLICKHOUSE_PASSWORD": self.clickhouse.password,
            "CONSOLE_READ_API": f"http://127.0.0.1:{self.read_api.server_address[1]}",
            "CONSOLE_PROGRAMS": ",".join(one.place for one in self.programs),
            "CONSOLE_TIME_ZONE": "Europe/Athens",
        }

    def prepare(self, shown: World) -> None:
        """Make topics and tables, and put the world into them."""
        for server in (self.read_api, *self.programs):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        for module, *arguments in (("streams", "topics"), ("sinks", "schema")):
            done = subprocess.run(
                [sys.executable, "-m", module, *arguments],
                env=self.environment,
                cwd=self.logs,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
        for table, rows in (
            ("delivery_inbox", shown.cells),
            ("sms_inbox", shown.sms),
            ("campaign_inbox", shown.campaigns),
            ("rejected_callbacks", shown.rejections),
        ):
            self.insert(table, rows)
        self.produce("callbacks.raw", [shown.envelope])
        self.produce("campaign.progress", shown.running)
        self.produce("delivery.alarms", shown.alarms)

    def insert(self, table: str, rows: Iterable[dict[str, Any]]) -> None:
        asked = urlencode(
            {
                "query": f"INSERT INTO {table} FORMAT JSONEachRow",
                "database": self.database,
                "user": "default",
                "password": self.clickhouse.password,
                "date_time_input_format": "best_effort",
                "input_format_skip_unknown_fields": "1",
                "input_format_null_as_default": "1",
                "optimize_on_insert": "0",
            }
        )
        body = b"\n".join(map(orjson.dumps, rows))
        request = urllib.request.Request(f"{self.clickhouse.url}/?{asked}", data=body, method="POST")  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
            assert answer.status == 200

    def produce(self, topic: str, records: Iterable[dict[str, Any]]) -> None:
        producer = KafkaProducer(bootstrap_servers=self.kafka.bootstrap_servers)
        for record in records:
            key = str(record.get("campaign_tracking_id") or record.get("alarm")).encode()
            producer.send(f"{self.prefix}{topic}", key=key, value=orjson.dumps(record), partition=0)
        producer.flush(30)
        producer.close()

    def console(self, port: int = 0, **settings: str) -> tuple[str, subprocess.Popen[bytes]]:
        """Start a console, and return its address and its process when it has read the live state."""
        port, admin = port or free_port(), free_port()
        log: IO[bytes] = (self.logs / f"console-{port}.log").open("ab")
        told = {**self.environment, "CONSOLE_PORT": str(port), "CONSOLE_ADMIN_PORT": str(admin), **settings}
        process = subprocess.Popen(
            [sys.executable, "-m", "console", "serve"], env=told, cwd=self.logs, stdout=log, stderr=log
        )
        log.close()
        self.started.append(process)

        def is_ready() -> bool:
            assert process.poll() is None, (self.logs / f"console-{port}.log").read_text()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=5) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        eventually(is_ready, 60)
        return f"http://127.0.0.1:{port}", process

    def end(self) -> None:
        for server in (self.read_api, *self.programs):
            server.shutdown()
            server.server_close()
        for process in self.started:
            process.terminate()
        for process in self.started:
            process.wait(20)
