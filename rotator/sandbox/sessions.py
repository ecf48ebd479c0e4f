"""Sessions of users on proxies: five each, ended by idleness, log-out or a restart."""

import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from rotator.sandbox.clock import Clock
from rotator.sandbox.unknowns import Unknowns


LIMIT: Final = 5


class TooMany(Exception):
    """A sixth session."""


@dataclass(slots=True)
class Session:
    """One session on one proxy, of one virtual proxy."""

    directory: str
    user: str
    attributes: list[tuple[str, str]]
    host: str
    virtual_proxy: str
    timeout: timedelta
    last: datetime
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    def of(self, directory: str, user: str) -> bool:
        """Whether it is this user's."""
        return (self.directory.casefold(), self.user.casefold()) == (directory.casefold(), user.casefold())


class Sessions:
    """All sessions of the site."""

    def __init__(self, unknowns: Unknowns, clock: Clock) -> None:
        self._unknowns = unknowns
        self._clock = clock
        self._all: dict[str, Session] = {}

    def __iter__(self) -> Iterator[Session]:
        now = self._clock.now()
        self._all = {key: item for key, item in self._all.items() if now - item.last < item.timeout}
        return iter(tuple(self._all.values()))

    def get(self, session_id: str, host: str, virtual_proxy: str) -> Session | None:
        """A living session on this proxy; it lives on from now."""
        found = next((item for item in self if item.id == session_id), None)
        if found is None or (found.host, found.virtual_proxy) != (host, virtual_proxy):
            return None
        found.last = self._clock.now()
        return found

    def open(self, session: Session) -> Session:
        """A new session. Raises TooMany."""
        counted = [
            item
            for item in self
            if item.of(session.directory, session.user)
            and (not self._unknowns.is_("session-limit", "proxy") or item.host == session.host)
            and (
                not self._unknowns.is_("session-limit", "virtual-proxy") or item.virtual_proxy == session.virtual_proxy
            )
        ]
        if len(counted) >= LIMIT:
            raise TooMany
        self._all[session.id] = session
        return session

    def log_out(self, session: Session) -> None:
        """End all sessions of its user on its virtual proxy."""
        for item in self:
            same_place = item.host == session.host or self._unknowns.is_("logout", "site")
            if same_place and item.virtual_proxy == session.virtual_proxy and item.of(session.directory, session.user):
                self.end(item.id)

    def end(self, session_id: str) -> bool:
        """End one; False where there is none."""
        return self._all.pop(session_id, None) is not None

    def cut(self, host: str) -> int:
        """End every session on a proxy that restarts; how many there were."""
        ended = [item for item in self if item.host == host]
        for item in ended:
            self.end(item.id)
        return len(ended)
