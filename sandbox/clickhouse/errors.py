"""
Errors as a ClickHouse server answers them: its code, its wording, and the HTTP status that belongs to the code.
"""

import re
from typing import Final

_CODE: Final = re.compile(r"Code: (\d+)\.")
_STD_EXCEPTION: Final = 1001
# Every other code is 500. Clients decide by the code; the status is for people and proxies.
_CODES_BY_STATUS: Final = {
    400: {
        6,
        16,
        20,
        26,
        27,
        36,
        38,
        41,
        42,
        43,
        44,
        53,
        62,
        69,
        70,
        72,
        89,
        115,
        117,
        130,
        131,
        349,
        350,
        386,
        452,
        456,
    },
    401: {194},
    403: {164, 497, 516},
    404: {46, 47, 50, 56, 60, 73, 78, 81, 336, 372},
    501: {48},
    503: {202, 209},
}
_STATUS: Final = {code: status for status, codes in _CODES_BY_STATUS.items() for code in codes}


class ClickHouseError(Exception):
    """
    A refusal by the engine, or by this front in its place.

    `str()` is the text of the answer, `Code: 60. DB::Exception: … (UNKNOWN_TABLE)`.
    """

    def __init__(self, message: str) -> None:
        start = message.find("Code: ")
        text = message[start:].strip() if start >= 0 else message.strip()
        found = _CODE.match(text)
        self.code = int(found.group(1)) if found else _STD_EXCEPTION
        super().__init__(text if found else f"Code: {self.code}. DB::Exception: {text}. (STD_EXCEPTION)")

    @property
    def status(self) -> int:
        """Return the HTTP status of the answer."""
        return _STATUS.get(self.code, 500)


def refusal(code: int, name: str, message: str) -> ClickHouseError:
    """Return an error of this front in the engine's wording; `name` is the code's name."""
    return ClickHouseError(f"Code: {code}. DB::Exception: {message}. ({name})")
