"""
The style sheet, the scripts and the icon: served from memory, compressed once, kept by the browser under their digest.
"""

import gzip
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    "": "text/plain; charset=utf-8",
}
_A_YEAR: Final = 31_536_000


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    packed: bytes
    media_type: str


class Files:
    """The files of a folder, read once."""

    def __init__(self, folder: Path) -> None:
        self._files = {
            str(file.relative_to(folder)): _File(body, gzip.compress(body, 9, mtime=0), _TYPES[file.suffix])
            for file in sorted(folder.rglob("*"))
            if file.is_file()
            for body in [file.read_bytes()]
        }
        self.digest = sha256(b"".join(file.body for file in self._files.values())).hexdigest()[:12]
        """In the address of each file, so that a new version of one is another address."""

    async def __call__(self, request: Request) -> Response:
        """Answer with a file; 404 for one that is not there."""
        file = self._files.get(request.path_params["name"])
        if file is None:
            return Response("nothing is at this path\n", 404, media_type="text/plain")
        headers = {"Cache-Control": f"public, max-age={_A_YEAR}, immutable", "Vary": "Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(file.packed, media_type=file.media_type, headers=headers | {"Content-Encoding": "gzip"})
        return Response(file.body, media_type=file.media_type, headers=headers)
