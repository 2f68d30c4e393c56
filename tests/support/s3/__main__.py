"""
The S3 server of the tests, run as a script by the Python of its own environment: moto, one request at a time.

S3 decides between two conditional writes of one name. Moto looks first and writes then, so it has one at a time.
"""

import io
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

_DISPATCH = DomainDispatcherApplication(create_backend_app)
_ONE_AT_A_TIME = threading.Lock()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a request, alone."""
    # Read before: a client that is slow holds up no other.
    environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    with _ONE_AT_A_TIME:
        return [b"".join(_DISPATCH(environ, start_response))]


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), application, threaded=True)
