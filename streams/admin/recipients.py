"""
Recipients as people write them: every spelling of a number becomes one, and bad lines are named all at once.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import phonenumbers

from streams.contract.erasures import NUMBER, plain_digits
from streams.domain.privacy import pseudonym
from streams.errors import UsageError
from streams.settings import StreamsSettings

_STANDARD_INPUT: Final = "-"
_MOST_NAMED: Final = 20


def given_recipients(numbers: Iterable[str], file: str | None) -> list[str]:
    """
    Return the numbers in the form `+306…`, each once. `file` has one a line, `-` is standard input.

    Raises UsageError, which names the place of every bad number and never the number.
    """
    lines = [(f"--recipient {place}", text) for place, text in enumerate(numbers, 1)]
    if file is not None:
        lines += [(f"line {place}", text) for place, text in enumerate(_lines_of(file), 1) if text.strip()]
    found: dict[str, None] = {}
    problems = []
    for place, text in lines:
        number = normal_number(text)
        if number is None:
            problems.append(place)
        else:
            found[number] = None
    if problems:
        raise UsageError(_refusal(problems))
    if not found:
        raise UsageError("no recipient is given: --recipient +30…, or --from-file with one a line")
    return [*found]


def normal_number(text: str) -> str | None:
    """
    Return a number in the form `+306…`; None for a text that is none, or does not tell its country.

    It may begin with `+`, `00` or the country's code, and have separators.
    """
    if not NUMBER.fullmatch(text):
        return None
    text = plain_digits(text)
    digits = re.sub("[^0-9]", "", text)
    is_international = "+" in text or digits.startswith("00")
    # The separators tell the prefix of long-distance calls, as in +44 (0)20: so they are left in.
    written = "+" + re.sub("^[^0-9]*(00)?", "", text) if is_international else f"+{digits}"
    try:
        number = phonenumbers.parse(written, None)
    except phonenumbers.NumberParseException:
        return None
    # Without `+` or `00` a number of one country may look like one of another.
    is_one = phonenumbers.is_possible_number if is_international else phonenumbers.is_valid_number
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if is_one(number) else None


def names_of(number: str, settings: StreamsSettings) -> Iterator[str]:
    """Yield a number `+306…`, and each pseudonym that streams may have made of a spelling of it."""
    yield number
    if settings.streams_hmac_key:
        key, digits = settings.streams_hmac_key.get_secret_value(), number.removeprefix("+")
        for spelling in (number, digits, f"00{digits}"):
            yield pseudonym(spelling, key)


def _lines_of(file: str) -> list[str]:
    try:
        raw = sys.stdin.buffer.read() if file == _STANDARD_INPUT else Path(file).read_bytes()
    except OSError as error:
        raise UsageError(f"--from-file {file}: {error.strerror}") from None
    try:
        return raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UsageError(f"--from-file {file}: it is not a text in UTF-8") from None


def _refusal(places: list[str]) -> str:
    named = ", ".join(places[:_MOST_NAMED])
    more = f" and {len(places) - _MOST_NAMED} more" if len(places) > _MOST_NAMED else ""
    return (
        f"{named}{more}: no number that tells its country. Write it with `+` or `00` and the country's code, as in "
        "+30 697 123 4567; nothing was done"
    )
