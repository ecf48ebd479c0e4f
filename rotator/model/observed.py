"""What is observed: the server's entities, and how test logins ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from rotator.model.words import Fingerprint, Json


@dataclass(frozen=True, slots=True)
class Node:
    """A server node."""

    id: str
    host: str


@dataclass(frozen=True, slots=True)
class ProxyService:
    """The proxy of one node. `virtual_proxies` are the ids of those linked to it; ports as QRS tells them."""

    id: str
    host: str
    central: bool
    listen_port: int
    rest_port: int
    virtual_proxies: frozenset[str]
    modified: str


@dataclass(frozen=True, slots=True)
class Privileges:
    """What the caller may do with each virtual proxy and each proxy that it sees, by their ids.

    In QRS's own words: `create`, `read`, `update`, `delete` and others; None where the server does not tell.
    """

    virtual_proxies: Mapping[str, frozenset[str] | None]
    proxies: Mapping[str, frozenset[str] | None]


JWT_METHOD = 4
"""`authenticationMethod` of a virtual proxy that takes JWTs."""


@dataclass(frozen=True, slots=True)
class VirtualProxy:
    """A virtual proxy as QRS gave it: the typed fields that rotator reads, and `entity`, the whole answer as it came.

    `fingerprint` is of the certificate's key, None where there is no certificate or none that can be read.
    """

    id: str
    prefix: str
    description: str
    session_cookie: str
    method: int
    default: bool
    modified: str
    certificate: str
    audience: str
    fingerprint: Fingerprint | None
    not_after: datetime | None
    entity: Mapping[str, Json]


class Verdict(StrEnum):
    """How a test login ended. Only the first two decide anything."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    INCONCLUSIVE = "inconclusive"
    UNREACHABLE = "unreachable"


UNTOLD_CLOCK: Final = 30.0
"""Seconds by which a proxy's clock may differ from what was known of it without a token's being refused for that."""


@dataclass(frozen=True, slots=True)
class LoginOutcome:
    """A verdict with its evidence in one line, without any token or cookie in it.

    `left_session`: a session was opened and could not be logged out.
    """

    verdict: Verdict
    detail: str
    left_session: bool = False


class CheckResult(StrEnum):
    """What a check of one proxy came to."""

    PASSED = "passed"
    FAILED = "failed"
    UNVERIFIED = "unverified"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Check:
    """One check on one proxy: `name` says which, `detail` why it ended so.

    `skipped`: the configuration says that the proxy cannot be reached from here, so the check counts neither way.
    """

    host: str
    name: str
    result: CheckResult
    detail: str = ""
    skipped: bool = False
