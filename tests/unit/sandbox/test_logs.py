from pathlib import Path

from sandbox.logs import Follower, keep_within


def test_warnings_and_errors_of_both_forms_are_picked_as_they_appear(tmp_path: Path) -> None:
    ingest, streams = tmp_path / "ingest.log", tmp_path / "streams.log"
    ingest.write_text('{"level": "error", "message": "of an earlier run"}\n')
    follower = Follower([ingest, streams])
    assert list(follower.serious_lines()) == []
    with ingest.open("a") as log:
        log.write(
            '{"level": "info", "message": "fine"}\n{"level": "warning", "message": "no secret is set"}\n{"level": "er'
        )
    streams.write_text("09:16:54.500 info    streams: fine\n09:16:54.501 error   streams: lost Kafka\n{broken\n")
    assert list(follower.serious_lines()) == [
        "ingest: no secret is set",
        "streams: 09:16:54.501 error   streams: lost Kafka",
    ]
    with ingest.open("a") as log:
        log.write('ror", "message": "the rest of a line"}\n')
    assert list(follower.serious_lines()) == ["ingest: the rest of a line"]
    assert list(follower.serious_lines()) == []


def test_what_a_line_is_about_is_shown_and_the_chatter_of_kafkas_clients_is_not(tmp_path: Path) -> None:
    log = tmp_path / "sinks-files.log"
    follower = Follower([log])
    log.write_text(
        '{"level": "error", "logger": "aiokafka", "message": "Unable connect to node"}\n'
        '{"level": "error", "logger": "kafka.net.manager", "message": "Connection failed"}\n'
        '{"time": "t", "level": "warning", "program": "sinks", "logger": "sinks.writer", "message": "will try again",'
        ' "table": "sms_status", "seconds": 0.2}\n'
        '{"level": "error", "logger": "asyncio", "message": "never retrieved", "exception": "Traceback"}\n'
    )
    assert list(follower.serious_lines()) == [
        "sinks-files: will try again (table=sms_status, seconds=0.2)",
        "sinks-files: never retrieved",
    ]


def test_a_log_is_put_aside_once_it_is_too_long(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    keep_within(log, 3)
    log.write_text("abc")
    keep_within(log, 3)
    assert log.exists()
    log.write_text("abcd")
    keep_within(log, 3)
    assert (tmp_path / "a.log.1").read_text() == "abcd"
