"""
Masks the secrets in bytes that are kept and are no callback: rejections, and originals of repaired callbacks. Pure.
"""

from ingest.callback.redaction import Redactor
from ingest.callback.unwrapping import readings


def masked(body: bytes, redactor: Redactor, max_bytes: int) -> bytes | None:
    """
    Return bytes of any kind without the secrets; None when one in them cannot be masked for sure.

    Compressed bytes are inflated for the look, to no more than `max_bytes`; longer ones are none of which one is sure.
    """
    if not redactor:
        return body
    texts = readings(body, max_bytes)
    if texts is None:
        return None
    if not _shows(body, texts.layers, redactor):
        return body
    if texts.codec == "utf-8":
        again = redactor.redact_anything(body)
    else:
        again = redactor.redact_anything(texts.layers[0].encode()).decode().encode(texts.codec)
    left = readings(again, max_bytes)
    return again if left is not None and not _shows(again, left.layers, redactor) else None


def _shows(body: bytes, layers: list[str], redactor: Redactor) -> bool:
    return any(redactor.shows(text) for text in (body.decode("latin-1"), *layers))
