"""
Times as people read them, in the zone of the console, which each page names.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from console.words.numbers import NONE

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WHOLE_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WHOLE_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400


def moment_of(text: str | datetime | None) -> datetime | None:
    """Return the moment of a time as topics and tables write it, which is UTC where no zone is named."""
    if text is None or isinstance(text, datetime):
        return text
    found = datetime.fromisoformat(text.replace(" ", "T", 1))
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


class Clock:
    """Writes moments in one zone."""

    def __init__(self, zone: str) -> None:
        self.zone = zone
        self._zone = ZoneInfo(zone)

    def local(self, moment: datetime) -> datetime:
        """Return the moment with the time of the zone."""
        return moment.astimezone(self._zone)

    def day_of(self, moment: datetime) -> date:
        """Return the day of the zone."""
        return self.local(moment).date()

    def wall(self, moment: datetime) -> int:
        """Return seconds of the zone's wall clock since 1970: a plot that takes it for UTC shows the zone's times."""
        offset = self.local(moment).utcoffset()
        return int(moment.timestamp() + (offset.total_seconds() if offset else 0.0))

    def time(self, moment: datetime | None) -> str:
        """Return `10:42`."""
        return NONE if moment is None else f"{self.local(moment):%H:%M}"

    def seconds(self, moment: datetime | None) -> str:
        """Return `10:42:07`."""
        return NONE if moment is None else f"{self.local(moment):%H:%M:%S}"

    def milliseconds(self, moment: datetime | None) -> str:
        """Return `10:42:07.431`."""
        if moment is None:
            return NONE
        here = self.local(moment)
        return f"{here:%H:%M:%S}.{here.microsecond // 1000:03d}"

    def short(self, moment: datetime | None, now: datetime) -> str:
        """Return `10:42` of today, `Wed 25 Nov, 10:42` of another day, with the year of another one."""
        if moment is None:
            return NONE
        here, day = self.local(moment), self.day_of(now)
        if here.date() == day:
            return f"{here:%H:%M}"
        if here.date() == day + timedelta(days=1):
            return f"tomorrow {here:%H:%M}"
        return f"{self.day(moment, now)}, {here:%H:%M}"

    def since(self, moment: datetime | None, now: datetime) -> str:
        """Return `at 10:42` of today, `on Wed 25 Nov, 10:42` of another day."""
        if moment is None:
            return NONE
        return f"{'at' if self.day_of(moment) == self.day_of(now) else 'on'} {self.short(moment, now)}"

    def day(self, moment: datetime | None, now: datetime) -> str:
        """Return `Wed 25 Nov`, with its year if that is another one."""
        if moment is None:
            return NONE
        here = self.local(moment)
        year = "" if here.year == self.day_of(now).year else f" {here.year}"
        return f"{_DAYS[here.weekday()]} {here.day} {_MONTHS[here.month - 1]}{year}"

    def full(self, moment: datetime) -> str:
        """Return `Thursday 26 November 2026, 10:24`."""
        here = self.local(moment)
        month = _WHOLE_MONTHS[here.month - 1]
        return f"{_WHOLE_DAYS[here.weekday()]} {here.day} {month} {here.year}, {here:%H:%M}"


def lasted(seconds: float) -> str:
    """Return a length of time in its largest fitting unit: `38 min`, `7 days`."""
    if seconds < _MINUTE:
        return f"{max(0, seconds):.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        hours, minutes = divmod(round(seconds / _MINUTE), 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{seconds / _DAY:.0f} days"
