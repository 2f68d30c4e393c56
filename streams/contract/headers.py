"""
The headers of every public record, so that a reader can choose records without reading their values.
"""

from functools import lru_cache
from typing import Final

from streams.contract.topics import PUBLIC_TOPICS, Topic

Headers = list[tuple[str, bytes]]
"""Shared by many records: it is never changed. A list, because aiokafka takes nothing else."""

TYPE: Final = "type"
"""The topic without its prefix: `sms.status`."""

SCHEMA: Final = "schema"
"""The type and the version of the value's form, which grows with a change that readers must know of: `sms.status/1`."""

FINAL: Final = "final"
"""`1` when the SMS or campaign is final, else `0`; absent from records of neither."""

CAMPAIGN: Final = "campaign"
"""The id of the campaign as the value has it; absent where there is none."""

VERSION: Final = 1
"""Within a version no record, topic, key or answer changes so that a reader breaks."""

NO_HEADERS: Final[Headers] = []


def schema_name(topic: str) -> str:
    """Return the name and version of a value's form, for example `sms.status/1`."""
    return f"{topic}/{VERSION}"


_BASIC: Final[dict[str, Headers]] = {
    topic.suffix: [(TYPE, topic.suffix.encode()), (SCHEMA, schema_name(topic.suffix).encode())]
    for topic in PUBLIC_TOPICS
}


def headers(topic: Topic) -> Headers:
    """Return the headers of a record that is about no single SMS or campaign; none for an internal topic."""
    return _BASIC.get(topic.suffix, NO_HEADERS)


# The SMS of a campaign come together: nearly every record has the headers of one before it.
@lru_cache(maxsize=4096)
def headers_of(suffix: str, is_final: bool, campaign: str | None) -> Headers:  # noqa: FBT001 - keywords cost time
    """Return the headers of a record about an SMS or a campaign; `suffix` is that of its topic."""
    known = [*_BASIC[suffix], (FINAL, b"1" if is_final else b"0")]
    return known if campaign is None else [*known, (CAMPAIGN, campaign.encode())]
