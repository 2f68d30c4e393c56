"""
The headers of every public record, so that a reader can choose records without reading their values.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from streams.contract.topics import PUBLIC_TOPICS, Topic

Headers = tuple[tuple[str, bytes], ...]
"""Shared by many records. The libraries for Kafka take nothing but a list."""

TYPE: Final = "type"
"""The topic without its prefix: `sms.status`."""

SCHEMA: Final = "schema"
"""The type and the version of the value's form, which grows with a change that readers must know of: `sms.status/1`."""

FINAL: Final = "final"
"""`1` when the SMS or campaign is final, else `0`; absent from records of neither."""

CAMPAIGN: Final = "campaign"
"""The id of the campaign as the value has it; absent where there is none."""

ERASURES: Final = "erasures"
"""
On the first record of a batch of SMS, while there are erasures: which ones hold in all records of the batch, and how
many records these are, as `digest/number`. A reader believes it of a batch of that length alone: it is as streams sent
it. Where records were batched anew, or the first one was compacted away, nothing is told.
"""

VERSION: Final = 1
"""Within a version no record, topic, key or answer changes so that a reader breaks."""

NO_HEADERS: Final[Headers] = ()


def schema_name(topic: str) -> str:
    """Return the name and version of a value's form, for example `sms.status/1`."""
    return f"{topic}/{VERSION}"


_BASIC: Final[dict[str, Headers]] = {
    topic.suffix: ((TYPE, topic.suffix.encode()), (SCHEMA, schema_name(topic.suffix).encode()))
    for topic in PUBLIC_TOPICS
}


def headers(topic: Topic) -> Headers:
    """Return the headers of a record that is about no single SMS or campaign; none for an internal topic."""
    return _BASIC.get(topic.suffix, NO_HEADERS)


def with_erasures(known: Headers, digest: bytes, number: int) -> Headers:
    """Return the headers of the first record of a batch of so many, in all of which these erasures hold."""
    return (ERASURES, b"%b/%d" % (digest, number)), *known


def erasures_of(known: Sequence[tuple[str, bytes | None]], number: int) -> bytes | None:
    """Return the digest of the erasures that hold in a batch, by the headers of its first record; None when untold."""
    digest, _, told = (dict(known).get(ERASURES) or b"").partition(b"/")
    return digest if told == b"%d" % number else None


# The SMS of a campaign come together: nearly every record has the headers of one before it.
@lru_cache(maxsize=4096)
def headers_of(suffix: str, is_final: bool, campaign: str | None) -> Headers:  # noqa: FBT001 - keywords cost time
    """Return the headers of a record about an SMS or a campaign; `suffix` is that of its topic."""
    known = (*_BASIC[suffix], (FINAL, b"1" if is_final else b"0"))
    return known if campaign is None else (*known, (CAMPAIGN, campaign.encode()))
