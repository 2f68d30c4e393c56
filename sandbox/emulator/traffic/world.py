"""
The world that is emulated: countries, operators, senders, texts, and how SMS end. Tables, nothing else.

Names of operators are real, everything about their quality is invented.
"""

# ruff: noqa: RUF001 - the texts are Greek, and Greek letters look like Latin ones

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sandbox.emulator.traffic.model import Occasion, Route, Status

OUTCOMES: Final = (Status.DELIVERED, Status.UNDELIVERED, Status.FAILED, Status.UNSENT)

_GOOD: Final = (95.0, 3.5, 1.2, 0.3)
_FAIR: Final = (90.0, 7.0, 2.5, 0.5)
_POOR: Final = (81.0, 13.0, 5.0, 1.0)

ROUTES: Final = (
    Route("GR", "+3069", 8, "Cosmote", 22, Decimal("0.03600000"), 3.0, 0.5, _GOOD),
    Route("GR", "+3069", 8, "Vodafone", 14, Decimal("0.03600000"), 3.5, 0.6, _GOOD),
    Route("GR", "+3069", 8, "Nova", 8, Decimal("0.03450000"), 5.0, 0.8, _FAIR),
    Route("CY", "+3579", 7, "Cyta", 5, Decimal("0.02812500"), 4.0, 0.6, _GOOD),
    Route("DE", "+4917", 8, "Telekom", 8, Decimal("0.07250000"), 3.0, 0.5, _GOOD),
    Route("DE", "+4915", 9, "o2 (Telefónica)", 6, Decimal("0.07120000"), 4.0, 0.7, _FAIR),
    Route("GB", "+447", 9, "EE", 7, Decimal("0.03412500"), 2.5, 0.5, _GOOD),
    Route("GB", "+447", 9, "Three", 4, Decimal("0.03377550"), 4.0, 0.7, _FAIR),
    Route("IN", "+919", 9, "Airtel (Bharti Airtel)", 7, Decimal("0.00600000"), 8.0, 1.0, _FAIR),
    Route("IN", "+917", 9, "Vodafone Idea", 6, Decimal("0.00573125"), 12.0, 1.1, _POOR),
    Route("BG", "+3598", 8, "A1", 5, Decimal("0.05104000"), 5.0, 0.7, _FAIR),
    Route("NG", "+23480", 8, "MTN Nigeria", 5, Decimal("0.04001937"), 15.0, 1.2, _POOR),
    Route("RS", "+3816", 7, "Yettel", 3, Decimal("0.02999999"), 6.0, 0.8, _FAIR),
)


@dataclass(frozen=True, slots=True)
class Ending:
    """A `detailedStatus` with its text; `share` among those of its status, `wait` the seconds until it is known."""

    detail: str
    description: str
    share: float
    wait: tuple[float, float]


DELIVERED: Final = (Ending("Delivered", "The SMS was sent and it was delivered to its recipient.", 1, (0, 0)),)
UNDELIVERED: Final = (
    Ending("Undelivered on Handset", "The handset refused the SMS.", 30, (3, 60)),
    Ending("Unknown Number", "The number is not in service.", 28, (1, 20)),
    Ending("Expired", "TTL validity period expired.", 22, (3600, 72000)),
    Ending("Call Barred", "The recipient does not accept SMS.", 8, (2, 30)),
    Ending("Roaming", "The recipient is roaming.", 6, (5, 120)),
    Ending("Unknown Status", "The operator gave no reason.", 4, (30, 900)),
    Ending("Carrier Violation", "The operator refused the content.", 2, (1, 10)),
)
# India's operators refuse numbers on the Do Not Disturb register.
UNDELIVERED_IN: Final = (*UNDELIVERED, Ending("DND Error Code", "Active Do Not Disturb Service.", 40, (1, 8)))
FAILED: Final = (Ending("Failed", "The SMS could not be processed.", 1, (0.2, 2)),)
UNSENT: Final = (Ending("Failed", "The balance does not suffice.", 1, (0.1, 1)),)


def endings(status: Status, country: str) -> tuple[Ending, ...]:
    """Return the ways in which an SMS to a country comes to a final status."""
    if status is Status.UNDELIVERED:
        return UNDELIVERED_IN if country == "IN" else UNDELIVERED
    return {Status.DELIVERED: DELIVERED, Status.FAILED: FAILED, Status.UNSENT: UNSENT}[status]


OCCASIONS: Final = (
    Occasion("Spring sale", "Shop", "spring", "web-shop", "Γειά σου {name} 👋 -20% μόνο σήμερα: shop.example/{code}"),
    Occasion("Ραντεβού Νοεμβρίου", "Clinic", "reminders", "clinic", "{name}, σας περιμένουμε αύριο στις 09:30."),
    Occasion(
        "Winterfahrplan", "306900000000", "service", "default", "Guten Tag {name}, ab Montag fährt Linie 7 öfter."
    ),
    Occasion(
        "Flash offer", "Outlet", "flash", "web-shop", "Hi {name}! Two for one until midnight 🛍️ outlet.example/{code}"
    ),
    Occasion("Събота на открито", "Club", "events", "events", "{name}, концертът започва в 20:00. Код {code}"),
    Occasion(
        "Account notice", "447700900000", "notice", "billing", 'Dear {name}, your invoice "{code}" is ready.\nThanks'
    ),
)

SINGLES: Final = (
    Occasion("", "Shop", "order", "web-shop", "Η παραγγελία {code} έφυγε 🚚"),
    Occasion("", "Clinic", "reminders", "clinic", "{name}, your appointment is at 09:30."),
    Occasion("", "306900000000", "", "default", "Parcel {code}: locker 17, door 4 \\o/"),
)
ONE_TIME_CODE: Final = Occasion("", "Verify", "otp", "login", "Your code is {code}", "TwoStep")

NAMES: Final = (
    "Maria",
    "Γιώργος",
    "Ελένη",
    "Jürgen",
    "Zoë",
    "Иван",
    "Asha",
    "Ọlá",
    "Søren",
    "Anne-Marie",
    "محمد",
    "李雷",
)
GROUPS: Final = ((), ("vip",), ("newsletter",), ("vip", "newsletter"), ("πελάτες",), ("staff", "test 1"))
LONG_TEXT: Final = " Δείτε όλους τους όρους και τα καταστήματα στη σελίδα μας. Reply STOP to leave this list."
