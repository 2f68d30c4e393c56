"""
The verdicts of today's rules of streams on callbacks: asked of `routee-streams judge`, which reaches no Kafka.
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Final

import orjson

from ingest.callback.envelope import Redrive, seal_again
from ingest.redrive.errors import RedriveError
from ingest.redrive.fates import Judged

_JUDGE: Final = (sys.executable, "-m", "streams", "judge")


def verdicts(callbacks: Sequence[Judged], now_ms: int) -> Counter[tuple[str, str]]:
    """Return how many callbacks were refused for a reason, and would get a verdict; RedriveError."""
    lines = [_envelope(one, now_ms) for one in callbacks]
    asked = subprocess.run(_JUDGE, input=b"\n".join(lines), capture_output=True, check=False)  # noqa: S603 - ours
    if asked.returncode:
        said = asked.stderr.decode(errors="replace").strip().splitlines()
        raise RedriveError(f"routee-streams judge: {said[-1] if said else f'exit code {asked.returncode}'}")
    told = [orjson.loads(line) for line in asked.stdout.splitlines()]
    if len(told) != len(callbacks):
        raise RedriveError(f"routee-streams judge: {len(told)} verdicts on {len(callbacks)} callbacks")
    return Counter((one.refused.reason, verdict["verdict"]) for one, verdict in zip(callbacks, told, strict=True))


def _envelope(one: Judged, now_ms: int) -> bytes:
    refused = one.refused
    redrive = Redrive(refused.attempts + 1, refused.first_received_at_ms, [refused.rejection])
    # An envelope is a line of its own: line ends are white space of a body.
    return seal_again([one.body], [one.key], now_ms, redrive).value.replace(b"\n", b" ").replace(b"\r", b" ")
