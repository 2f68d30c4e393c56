"""
Takes an object out of its wrapping: bytes → the text in which it stands. Pure.

Senders, proxies and consoles put one body into many covers: another encoding, a byte order mark, compression that no
header names, an array of one, a JSON string, a form, base64. A cover that can be read in one way only is taken off.
"""

import html
import re
import zlib
from base64 import b64decode
from binascii import Error as Base64Error
from typing import Final, NamedTuple
from urllib.parse import unquote, unquote_plus

from ingest.callback.compression import GZIP, RAW_DEFLATE, ZLIB, whole_stream
from ingest.callback.scanner import unescaped
from streams.contract.records import Repair

_MARKS: Final = (
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
# The first two characters of a JSON text are ASCII: the places of the zeros around them tell the encoding.
_ZEROS: Final = {
    (1, 0, 0, 0): "utf-32-le",
    (0, 0, 0, 1): "utf-32-be",
    (1, 0, 1, 0): "utf-16-le",
    (0, 1, 0, 1): "utf-16-be",
}
# A pair of surrogates, each in the three bytes that UTF-8 would need for it (CESU-8), and a surrogate alone.
_PAIR: Final = re.compile(rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]")
_HALF: Final = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")

_COMPRESSED: Final = ((b"\x1f\x8b\x08", GZIP), (b"\x78", ZLIB))

_MARKS_OF_WORK: Final = ",:\"'\\{[%&"
_MOST_MARKS: Final = 20_000
"""
A body has at most so many of the characters that cost time; a callback has some hundred, and one more for each
character of its text. All other requests wait while a body is read.
"""

_MOST_PARTS: Final = 8  # gzip may be several streams, one behind the other
_MOST_COVERS: Final = 4
_AROUND: Final = " \t\r\n\0\ufeff\u00a0"
_AROUND_IN_ARRAYS: Final = _AROUND + "["
_STRING: Final = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*)"?', re.DOTALL)
_ESCAPED_OBJECT: Final = re.compile(r"\{\s*+\\++(?:[\"nrt]|u0022|x22)")
# Entities and percent codes may be written twice: `&amp;quot;`, `%257B`.
_ENTITIES: Final = re.compile(r"\{\s*+&(?:amp;)*(?:quot|apos|#0*+3[49]|#x0*+2[27]);", re.IGNORECASE)
_BRACE_ENTITY: Final = re.compile(r"&(?:amp;)*(?:lbrace|lcub|#0*+123|#x0*+7b);", re.IGNORECASE)
_PERCENT: Final = re.compile(r"%(?:25)*7b|\{\s*+%(?:25)*22", re.IGNORECASE)
_COLON_CODE: Final = re.compile(r"%(?:25)*3a", re.IGNORECASE)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/\r\n]++={0,2}")
_DATA_URL: Final = re.compile(r"data:[\w/+.;=\-]{0,99}+,")
# The name of a form's field: it stays before the object, where a name that decides is seen.
_FIELD: Final = re.compile(r"[\w.\-]{1,64}+(?:\[\w{0,64}+\])?=(?=[^=\s])")
# Brackets that begin no value: of a tag, and of a field's name.
_TAG: Final = re.compile(r"<!\[CDATA\[|<[^<>{}\[\]]{0,999}+>|\[\w{0,64}+\]=")
_BLANK: Final = " \t\r\n"
_ANOTHER: Final = re.compile(r"[{\[\"]")
_MULTIPART: Final = re.compile(r"\s*+(--[^\s\"]{1,128}+)\r?\n")


class Unwrapped(NamedTuple):
    """
    The text in which an object begins at `begin`, and the names of the repairs that led to it.
    """

    text: str
    begin: int
    repairs: set[Repair]


class Readings(NamedTuple):
    """All texts that a body can be read as, cover by cover; the first was written in `codec`."""

    layers: list[str]
    codec: str


def readings(body: bytes, max_bytes: int) -> Readings | None:
    """Return the texts of a body, also when there is no object in them; None when it inflates to more than it may."""
    read = _read(body, max_bytes, set())
    if read is None:
        return None
    text, codec = read
    return Readings(_layers(text, max_bytes, set()), codec)


def unwrap(body: bytes, max_bytes: int) -> Unwrapped | None:
    """Return the text of the object in a body; None when there is none, or it takes more bytes or work than it may."""
    repairs: set[Repair] = set()
    read = _read(body, max_bytes, repairs)
    if read is None:
        return None
    text, _ = read
    if is_laborious(text):
        return None
    layers = _layers(text, max_bytes, repairs)
    text = layers[-1]
    begin = text.find("{")
    if begin < 0 or is_laborious(text) or _ANOTHER.search(_TAG.sub("", text[:begin]).strip(_AROUND_IN_ARRAYS)):
        return None
    _note_surroundings(text[:begin], repairs)
    return Unwrapped(text, begin, repairs)


def _layers(text: str, max_bytes: int, repairs: set[Repair]) -> list[str]:
    """Return a text, and the text under each of its covers."""
    layers = [text]
    while len(layers) <= _MOST_COVERS and (inner := _uncovered(layers[-1], max_bytes, repairs)) is not None:
        repairs.add(Repair.WRAPPING)
        layers.append(inner)
    return layers


def is_alone(behind: str, repairs: set[Repair]) -> bool:
    """Tell whether the text behind an object leaves it the only one; note that it is left out."""
    if _ANOTHER.search(behind):
        return False
    behind = behind.strip(_BLANK)
    if behind.strip("]" + _BLANK) or (behind and Repair.WRAPPING not in repairs):
        repairs.add(Repair.SURROUNDINGS)
    return True


def is_laborious(text: str) -> bool:
    """Tell whether a text has so many characters that cost time that it is not read patiently."""
    return sum(map(text.count, _MARKS_OF_WORK)) > _MOST_MARKS


def _note_surroundings(before: str, repairs: set[Repair]) -> None:
    if "\ufeff" in before:
        repairs.add(Repair.BYTE_ORDER_MARK)
    before = before.replace("\ufeff", "").strip(_BLANK)
    if before and not before.strip("[" + _BLANK):
        repairs.add(Repair.WRAPPING)
    elif before:
        repairs.add(Repair.SURROUNDINGS)


def _read(body: bytes, max_bytes: int, repairs: set[Repair]) -> tuple[str, str] | None:
    """Return the text of bytes that may be compressed, and the encoding; None when it is longer than `max_bytes`."""
    for _ in range(_MOST_COVERS):
        inflated = _inflated(body, max_bytes)
        if inflated is None:
            return None
        if inflated is body:
            break
        repairs.add(Repair.COMPRESSION)
        body = inflated
    return _decoded(body, repairs)


def _inflated(body: bytes, max_bytes: int) -> bytes | None:
    """
    Return the content of a compressed body, as far as it goes; other bytes as they are.

    None when it is longer than `max_bytes`: no more than that is inflated.
    """
    form = next((form for magic, form in _COMPRESSED if body.startswith(magic)), None)
    if form is None:
        return _inflated_raw(body, max_bytes)
    content, left = b"", body
    for _ in range(_MOST_PARTS):
        stream = zlib.decompressobj(form)
        try:
            content += stream.decompress(left, max_bytes + 1 - len(content))
        except zlib.error:
            return body
        if len(content) > max_bytes:
            return None
        left = stream.unused_data
        if not left.startswith(_COMPRESSED[0][0]):
            break
    return content


def _inflated_raw(body: bytes, max_bytes: int) -> bytes | None:
    """
    Return the content of a body that is deflated without a header, as some senders of `deflate` have it.

    Nothing marks its begin. So it must be one whole stream, and hold an object.
    """
    try:
        content = whole_stream(body, RAW_DEFLATE, max_bytes)
    except zlib.error:
        return body
    return content if content is None or b"{" in content else body


def _decoded(body: bytes, repairs: set[Repair]) -> tuple[str, str]:
    """Return the text of the bytes, and the encoding."""
    codec = next((codec for mark, codec in _MARKS if body.startswith(mark)), None)
    if codec is None and len(body) >= 4:  # noqa: PLR2004 - the first four bytes tell it
        first = body[:4]
        codec = _ZEROS.get((int(first[0] > 0), int(first[1] > 0), int(first[2] > 0), int(first[3] > 0)))
    if codec is not None:
        repairs.add(Repair.ENCODING)
        return _replaced(body, codec, repairs), codec
    try:
        return body.decode(), "utf-8"
    except UnicodeDecodeError:
        pass
    body = _PAIR.sub(lambda pair: _joined(pair[0]), body)
    body = _HALF.sub("\ufffd".encode(), body)
    repairs.add(Repair.REPLACED)
    return body.decode(errors="replace"), "utf-8"


def _joined(pair: bytes) -> bytes:
    return pair.decode("utf-8", "surrogatepass").encode("utf-16", "surrogatepass").decode("utf-16").encode()


def _replaced(body: bytes, codec: str, repairs: set[Repair]) -> str:
    try:
        return body.decode(codec)
    except UnicodeDecodeError:
        repairs.add(Repair.REPLACED)
        return body.decode(codec, errors="replace")


def _uncovered(text: str, max_bytes: int, repairs: set[Repair]) -> str | None:
    """Return the text within the cover of a text, None when it has none."""
    part = _part(text)
    if part is not None:
        return part
    field = _FIELD.match(text)
    if field is None:
        return _bare(text, max_bytes, repairs)
    value = _bare(text[field.end() :], max_bytes, repairs)
    return None if value is None else field[0] + value


def _bare(text: str, max_bytes: int, repairs: set[Repair]) -> str | None:
    """Return a text without its one cover, None when it has none."""
    stripped = text.strip(_AROUND)
    string = _STRING.match(stripped.lstrip(_AROUND_IN_ARRAYS))
    if string is not None and not _ANOTHER.search(string.string, string.end()):
        return _unescaped(string[1], repairs)
    begin = text.find("{")
    if begin >= 0 and _ESCAPED_OBJECT.match(text, begin):
        return _unescaped(text, repairs)
    if _ENTITIES.match(text, begin) if begin >= 0 else _BRACE_ENTITY.search(text):
        return html.unescape(text)
    if _PERCENT.match(text, begin) if begin >= 0 else _PERCENT.search(text):
        # A form writes a space as a plus sign, and a plus sign as %2B; and the colon, which each object has, as %3A.
        is_form = "%20" not in text and _COLON_CODE.search(text)
        return unquote_plus(text) if is_form else unquote(text)
    return _from_base64(unquote(stripped), max_bytes, repairs) if begin < 0 else None


def _unescaped(content: str, repairs: set[Repair]) -> str:
    text, found = unescaped(content)
    repairs |= found
    return text


def _part(text: str) -> str | None:
    """Return the content of a form (multipart) that has one part, None for any other text."""
    found = _MULTIPART.match(text)
    if found is None:
        return None
    parts = text.split(found[1])
    if len(parts) != 3 or not parts[2].startswith("--"):  # noqa: PLR2004 - before, the part, and behind
        return None
    _, blank, content = parts[1].replace("\r\n", "\n").partition("\n\n")
    return content if blank else None


def _from_base64(text: str, max_bytes: int, repairs: set[Repair]) -> str | None:
    text = _DATA_URL.sub("", text, count=1).strip('"' + _AROUND)
    text = text.replace("-", "+").replace("_", "/")
    if not _BASE64.fullmatch(text):
        return None
    try:
        content = b64decode(text + "=" * (-len(text.rstrip("=")) % 4))
    except Base64Error:
        return None
    found: set[Repair] = set()
    read = _read(content, max_bytes, found)
    if read is None or not (Repair.COMPRESSION in found or b"{" in content):
        return None
    repairs |= found
    return read[0]
