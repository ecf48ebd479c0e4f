"""What is desired: the configuration as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time, timedelta
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final

from rotator.model.words import Json, User


class SecretKind(StrEnum):
    """Where a secret that the configuration names is read from."""

    CREDENTIAL = "credential"
    KEYRING = "keyring"
    FILE = "file"
    DPAPI = "dpapi"


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is, never the secret.

    `credential:NAME` (a systemd credential), `keyring:NAME`, `file:PATH`, or `dpapi:PATH` (a file that Windows opens).
    """

    kind: SecretKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


class KeyringBackend(StrEnum):
    """The keyring that holds the private keys."""

    SECRET_SERVICE = "secret-service"  # noqa: S105 - a name
    WINDOWS = "windows"
    MACOS = "macos"
    SEALED_FILE = "sealed-file"


@dataclass(frozen=True, slots=True)
class KeyringSettings:
    """`[keyring]`. `path` and `master_key` belong to sealed-file alone."""

    backend: KeyringBackend
    path: Path | None = None
    master_key: SecretRef | None = None


class Auth(StrEnum):
    """How rotator proves itself to QRS."""

    CERTIFICATE = "certificate"
    JWT = "jwt"


@dataclass(frozen=True, slots=True)
class CertificateAccess:
    """A client certificate: a PKCS#12 file, or certificate and key in PEM. `user` is sent as X-Qlik-User."""

    user: User
    pfx: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    password: SecretRef | None = None


@dataclass(frozen=True, slots=True)
class JwtAccess:
    """A JWT of `user` through the virtual proxy at `url`, signed with that virtual proxy's key in the keyring."""

    url: str
    user: User

    @property
    def prefix(self) -> str:
        """The prefix of that virtual proxy: the one word that its URL ends in."""
        return self.url.rpartition("/")[2].lower()


SYSTEM_CA = "system"
"""In place of a file: the certificate authorities of the operating system."""


@dataclass(frozen=True, slots=True)
class ProbeRoute:
    """How one proxy is reached for test logins, where that is not its node's host name and listen port.

    `connect` is the address (host, port) the connection goes to; `host` the name for SNI, the name check and the Host
    header; `ca` a file or "system"; `skip` means: cannot be reached from here.
    """

    connect: tuple[str, int] | None = None
    host: str | None = None
    ca: str | None = None
    skip: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """One Qlik Sense installation.

    `qrs` is an https URL without a path; `root_ca` is a file, `proxy_ca` a file or "system".
    """

    name: str
    qrs: str
    root_ca: Path
    proxy_ca: str
    auth: Auth
    server_name: str | None = None
    certificate: CertificateAccess | None = None
    jwt: JwtAccess | None = None
    probe: Mapping[str, ProbeRoute] = field(default_factory=lambda: MappingProxyType({}))


class Algorithm(StrEnum):
    """The signatures that a virtual proxy takes."""

    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"


class Consumers(StrEnum):
    """Who signs the customers' tokens, and so how they come by a new key."""

    TOKEN = "token"  # noqa: S105 - a word
    HOOK = "hook"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Window:
    """A weekly maintenance window in local time of `zone` (an IANA name).

    `days` are those on which it opens, 0 is Monday; an `end` that is not later than `start` is on the next day.
    """

    days: frozenset[int]
    start: time
    end: time
    zone: str

    @property
    def length(self) -> timedelta:
        """From opening to closing, by the clock."""
        start, end = (timedelta(hours=at.hour, minutes=at.minute) for at in (self.start, self.end))
        return end - start if end > start else end - start + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class AnyTime:
    """`window = ["any"]`: a rotation may run whenever it is due."""


Windows = AnyTime | tuple[Window, ...]
"""When a rotation may run unattended; an empty tuple: never."""
WINDOW_MARGIN: Final = 2
"""How many settle timeouts must be left in a window at the start: one to go forward, one to come back."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """`[proxy.NAME.rotation]`. Exactly one of `every` and `cron` (five fields, UTC) is set.

    `jitter`: by how much at most the daemon spreads a start.
    """

    every: timedelta | None = timedelta(days=30)
    cron: str | None = None
    windows: Windows = ()
    jitter: timedelta = timedelta(0)
    key_bits: int = 3072
    algorithm: Algorithm = Algorithm.RS256
    certificate_days: int = 1825
    settle_timeout: timedelta = timedelta(seconds=120)

    @property
    def margin(self) -> timedelta:
        """How much of a window must be left when it starts."""
        return WINDOW_MARGIN * self.settle_timeout


@dataclass(frozen=True, slots=True)
class Attribute:
    """A claim that becomes an attribute of the user in Qlik Sense."""

    claim: str
    sense: str
    mandatory: bool = False


def constant(claim: str) -> str | None:
    """The value of a claim in brackets, as `[CORP]`, which no token carries; None where it is the name of a claim."""
    return claim[1:-1] if claim.startswith("[") and claim.endswith("]") else None


@dataclass(frozen=True, slots=True)
class ProxySpec:
    """`[proxy.NAME]`: a virtual proxy as it is desired.

    `named` holds the keys that the configuration file itself sets: on a virtual proxy that was there, the others are
    not managed. `proxies` and `nodes` are host names, `("*",)` all of them.
    """

    name: str
    site: str
    prefix: str
    description: str
    session_cookie: str
    user_id_claim: str
    user_directory_claim: str
    test_user: User
    attributes: tuple[Attribute, ...] = ()
    proxies: tuple[str, ...] = ("*",)
    nodes: tuple[str, ...] = ("*",)
    host_allow_list: tuple[str, ...] = ()
    additional_response_headers: tuple[str, ...] = ()
    session_inactivity_timeout: timedelta = timedelta(minutes=30)
    test_claims: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))
    audience: str = ""
    consumers: Consumers = Consumers.TOKEN
    hook: Path | None = None
    max_token_ttl: timedelta = timedelta(minutes=15)
    rotation: Rotation = Rotation()
    named: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Notify:
    """`[notify]`: the channels by which people are told what happened.

    `hooks` is a folder of executables; `webhook` an https URL, which may itself be a secret, or where it is kept;
    `webhook_ca` a file or "system"; `mail` addresses, from `mail_from`, by the local `sendmail`.
    """

    hooks: Path | None = None
    webhook: str | SecretRef | None = field(default=None, repr=False)
    webhook_ca: str = SYSTEM_CA
    mail: tuple[str, ...] = ()
    mail_from: str | None = None
    sendmail: Path = Path("/usr/sbin/sendmail")

    @property
    def wanted(self) -> bool:
        """Whether there is any channel."""
        return bool(self.hooks or self.webhook or self.mail)


@dataclass(frozen=True, slots=True)
class Telling:
    """What is needed to tell people of a run: `state` holds the outbox, `textfile` is that of `[metrics]`."""

    state: Path
    notify: Notify = Notify()
    textfile: Path | None = None

    @property
    def wanted(self) -> bool:
        """Whether anybody is to be told anything."""
        return self.notify.wanted or self.textfile is not None


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration file. `proxies` are in the file's order; `source` is the file it came from."""

    source: Path
    keyring: KeyringSettings
    state: Path
    sites: Mapping[str, Site]
    proxies: Mapping[str, ProxySpec]
    notify: Notify = Notify()
    textfile: Path | None = None

    @property
    def telling(self) -> Telling:
        """How people are told of a run."""
        return Telling(self.state, self.notify, self.textfile)
