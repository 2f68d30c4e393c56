import io
import logging

import orjson

from streams.contract.logline import JsonLine, TextLine


def _line(formatter: logging.Formatter, **extra: object) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger = logging.getLogger("ingest.test")
    logger.addHandler(handler)
    try:
        logger.warning("late by %d ms", 7, extra=extra)
    finally:
        logger.removeHandler(handler)
    return stream.getvalue()


def test_a_json_line_carries_message_and_fields() -> None:
    line = orjson.loads(_line(JsonLine("ingest"), topic="routee.callbacks.raw"))
    assert line["message"] == "late by 7 ms"
    assert (line["program"], line["level"], line["topic"]) == ("ingest", "warning", "routee.callbacks.raw")


def test_a_text_line_reads_as_a_sentence_with_fields_behind() -> None:
    line = _line(TextLine("ingest"), partition=3)
    assert line.rstrip().endswith("warning ingest: late by 7 ms (partition=3)")
