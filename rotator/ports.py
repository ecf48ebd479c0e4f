"""What the verbs need of the world, as protocols. The adapters fulfil them; tests may too."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol

from rotator.model import (
    Cut,
    Digest,
    Json,
    KeyVersion,
    LoginOutcome,
    Memory,
    Node,
    Privileges,
    ProxyService,
    Ring,
    User,
    VirtualProxy,
)


if TYPE_CHECKING:
    from rotator.keys import PrivateKey


class Clock(Protocol):
    """Time: UTC for what is written down, monotonic seconds for waiting."""

    def now(self) -> datetime:
        """The present, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SecretStore(Protocol):
    """A keyring as rotator uses it: named one-line texts of one service. Every call ends within a time limit.

    Raises KeyStoreUnavailable when the keyring gives no answer, KeyStoreCorrupt when an item cannot be read.
    """

    def get(self, name: str) -> str | None:
        """The text, or None where there is no such item."""

    def set(self, name: str, text: str) -> None:
        """Store the text durably, over what was there, all of it or nothing."""

    def delete(self, name: str) -> None:
        """Remove the item; that it is not there is no error."""

    def reopened(self) -> "SecretStore":
        """The same keyring through a new connection, for reading back what was written."""


class KeyStore(Protocol):
    """The keys of one virtual proxy. Every write is read back through a new connection and compared.

    Raises KeyStoreUnavailable, KeyStoreCorrupt, KeyNotFound.
    """

    def ring(self) -> Ring:
        """The stages as they are now; an empty ring of generation 0 where there is none."""

    def save(self, ring: Ring) -> Ring:
        """Store the ring as one transaction, under the next generation; returns it with that generation.

        Raises KeyStoreCorrupt where the stored generation is not the one that `ring` was read with.
        """

    def add_key(self, version: KeyVersion, key: "PrivateKey") -> None:
        """Store a private key under `version.item`, which must be new; read it back and prove it by a signature."""

    def key(self, version: KeyVersion) -> "PrivateKey":
        """The private key, its fingerprint checked."""

    def add_certificate(self, text: str) -> Digest:
        """Keep a certificate's exact text under its digest."""

    def certificate(self, digest: Digest) -> str:
        """The exact text, its digest checked."""

    def remove(self, ring: Ring, version: KeyVersion) -> None:
        """Delete a private key for good, and its certificate's text where nothing else in `ring` names it."""

    def clear(self) -> None:
        """Delete every key, every certificate and the ring, the ring last."""

    def memory(self) -> Memory:
        """What the journal remembers of these keys, against what the keyring holds."""

    def whole(self) -> None:
        """Raise RestoredKeyring where the journal remembers later changes than the keyring holds."""

    def accept(self) -> None:
        """From now on the keyring counts as it is, though the journal may know of later changes."""


LARGEST_OFFSET: Final = 86_400.0
"""Seconds that a server's clock may differ before it is not believed: tokens are timed by it, and shall not outlive us."""


class Repository(Protocol):
    """The Qlik Repository Service. Raises ServerError and its kinds.

    A write whose answer is lost raises ServerUnreachable although it may have been applied.
    """

    def build_version(self) -> str:
        """The version of the server, e.g. `30.4.0.0`."""

    def clock_offset(self) -> float | None:
        """Seconds that the server's clock is ahead of ours, from the Date of its last answer; None before any.

        At most LARGEST_OFFSET, either way.
        """

    def virtual_proxies(self) -> tuple[VirtualProxy, ...]:
        """All that the caller may see, whole."""

    def virtual_proxy(self, proxy_id: str) -> VirtualProxy:
        """One, whole. Raises NotFound."""

    def find(self, prefix: str) -> VirtualProxy | None:
        """The one with this prefix, whole."""

    def create(self, body: Mapping[str, Json]) -> VirtualProxy:
        """POST a new virtual proxy."""

    def update(self, entity: Mapping[str, Json]) -> None:
        """PUT a whole entity, `modifiedDate` as it was read. What came of it is to be asked. Raises Conflict."""

    def proxies(self) -> tuple[ProxyService, ...]:
        """The proxies of the site, the central one first."""

    def nodes(self) -> tuple[Node, ...]:
        """The server nodes."""

    def privileges(self) -> Privileges:
        """What the caller may do with what it sees, as far as the server tells."""

    def link(self, proxy: ProxyService, proxy_id: str) -> None:
        """Link a virtual proxy to a proxy, taking no other link away."""


class Logins(Protocol):
    """Test logins on the proxies of a site."""

    def attempt(self, proxy: ProxyService, virtual_proxy: VirtualProxy, token: str | None, user: User) -> LoginOutcome:
        """Log in with `token` (None: without one) in a fresh cookie jar, see who came back, log out.

        Never raises ServerError: what went wrong is in the outcome.
        """

    def reachable(self, proxy: ProxyService) -> bool:
        """Whether the configuration says that this proxy can be reached from here."""

    def clock_offset(self, proxy: ProxyService) -> float | None:
        """Seconds that the proxy's clock is ahead of ours, from its last answer; None before any."""

    def refresh(self) -> None:
        """Drop pooled connections, which a restart of the proxies has made stale."""


class Sessions(Protocol):
    """The sessions that an edit of a virtual proxy would cut."""

    def count(self, proxy: ProxyService) -> int | None:
        """Sessions on this proxy, over all virtual proxies linked to it; None where it cannot be told."""


class HandOver(Protocol):
    """Gives a new private key to whoever signs with it."""

    def deliver(self, delivery_id: str, version: KeyVersion, key: "PrivateKey", details: Mapping[str, str]) -> None:
        """Run the hook to its end. Raises NotDelivered."""


class Journal(Protocol):
    """What is done, written down before and after. A journal that cannot be written any more never stops a run."""

    def step(self, name: str, fingerprint: str | None = None) -> AbstractContextManager[None]:
        """A step of the verb, about the key with this fingerprint."""

    def effect(self, name: str, detail: str = "") -> AbstractContextManager[None]:
        """One change of the keyring or the server."""

    def cut(self, sessions: int) -> None:
        """The change that follows ends so many sessions."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything a verb works with for one virtual proxy.

    `generate` makes a private key of so many bits; `tell` takes one line of progress; `consent` is shown what a change
    will cut and says whether to go on.
    """

    repository: Repository
    logins: Logins
    sessions: Sessions
    keystore: KeyStore
    journal: Journal
    clock: Clock
    hand_over: HandOver
    generate: "Callable[[int], PrivateKey]"
    tell: Callable[[str], None]
    consent: Callable[[Sequence[Cut]], bool]
