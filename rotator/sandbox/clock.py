"""The server's clock, which may be ahead of or behind this machine's."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime


class Clock:
    """UTC with an offset in seconds. Stamps of entities never repeat, as QRS compares them."""

    def __init__(self) -> None:
        self.offset = 0.0
        self._last = datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """The server's present."""
        return datetime.now(UTC) + timedelta(seconds=self.offset)

    def stamp(self) -> str:
        """A new `modifiedDate`: milliseconds, UTC."""
        moment = self.now()
        moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        self._last = max(moment, self._last + timedelta(milliseconds=1))
        return f"{self._last:%Y-%m-%dT%H:%M:%S}.{self._last.microsecond // 1000:03d}Z"

    def http_date(self) -> str:
        """The Date header (RFC 9110, 5.6.7)."""
        return format_datetime(self.now().replace(microsecond=0), usegmt=True)
