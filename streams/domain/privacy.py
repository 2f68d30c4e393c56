"""
The personal data that leaves the raw topic: the policy is applied before anything is kept or written.
"""

import hmac
import re
from typing import Final

from streams.contract.erasures import NUMBER, normal_form
from streams.contract.personal import Withholding, names_codes, without_numbers
from streams.contract.remembered import remembered
from streams.domain.policy import Policy

_SHOWN_DIGITS: Final = 3
_MASK: Final = "***"
_DIGEST: Final = re.compile("[0-9a-f]{64}")
# The spellings of a number of which an erasure makes the pseudonyms.
_USUAL: Final = re.compile(r"(?:\+|00)?[1-9][0-9]*")
_SHORTEST_SHOWN: Final = 7  # the last three digits of a shorter number would tell too much


def shown_recipient(number: str, policy: Policy) -> str | None:
    """
    Return the recipient as the policy lets it be seen.

    `mask` leaves the last three digits; `hmac` gives the hex HMAC-SHA-256, equal for equal numbers under one key.
    """
    match policy.recipient:
        case "keep":
            return number
        case "mask":
            return _MASK + (number[-_SHOWN_DIGITS:] if len(number) >= _SHORTEST_SHOWN else "")
        case "hmac":
            return pseudonym(_usual(number), policy.hmac_key)
        case "drop":
            return None


def pseudonym(number: str, key: str) -> str:
    """Return the hex HMAC-SHA-256 of a number as it is spelt."""
    return hmac.digest(key.encode(), number.encode(), "sha256").hex()


def _usual(number: str) -> str:
    """Return a number without gaps and other digits than 0 to 9; any other text as it is."""
    if _USUAL.fullmatch(number) or not NUMBER.fullmatch(number):
        return number
    digits = normal_form(number)
    return number if digits is None else f"+{digits}"


def kept_recipient(kept: str, policy: Policy) -> str | None:
    """Return a row's recipient as the policy lets it be seen now; a masked or hashed one is only ever dropped."""
    if policy.recipient != "drop" and (kept.startswith(_MASK) or _DIGEST.fullmatch(kept)):
        return kept
    return shown_recipient(kept, policy)


def shown_text(text: str | None, policy: Policy) -> str | None:
    """Return a free text as the policy lets it be seen; with `mask_texts` no number stands in it."""
    return without_numbers(text) if policy.mask_texts and text else text


def withholding_of(policy: Policy) -> Withholding:
    """Return what the policy withholds of a refused body."""
    return Withholding(
        number=None if policy.recipient == "keep" else lambda number: shown_recipient(number, policy),
        drops_texts=policy.message_text == "drop",
        masks_texts=policy.mask_texts,
    )


# There are few services, and every callback names one.
@remembered(256)
def holds_one_time_code(service: str | None) -> bool:
    """Tell whether messages of this `originatingService` carry one-time codes, whose text is never kept."""
    return names_codes(service)
