"""The keyring and the server with every change of them written to the journal: intent before, outcome after.

Here a stop is obeyed too: before each look while nothing was changed, never after the first change.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rotator.keys import PrivateKey
from rotator.model import (
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
    short,
)
from rotator.planning.drift import restored
from rotator.ports import Journal, KeyStore, Logins, Repository
from rotator.stopping import Stop


class Unrecorded:
    """Implements ports.Journal for commands that change nothing."""

    @contextmanager
    def step(self, name: str, fingerprint: str | None = None) -> Iterator[None]:  # noqa: ARG002 - ports.Journal
        """Nothing is written down."""
        yield

    @contextmanager
    def effect(self, name: str, detail: str = "") -> Iterator[None]:  # noqa: ARG002 - ports.Journal
        """Nothing is written down."""
        yield

    def cut(self, sessions: int) -> None:
        """Nothing is written down."""


class RecordedRepository:
    """Implements ports.Repository: writes are recorded, reads pass through."""

    def __init__(self, repository: Repository, journal: Journal, stop: Stop | None = None) -> None:
        self._repository = repository
        self._journal = journal
        self._stop = stop or Stop()

    def create(self, body: Mapping[str, Json]) -> VirtualProxy:
        """POST a new virtual proxy."""
        self._stop.change()
        with self._journal.effect("POST virtual proxy", str(body.get("prefix", ""))):
            return self._repository.create(body)

    def update(self, entity: Mapping[str, Json]) -> None:
        """PUT a whole entity."""
        self._stop.change()
        with self._journal.effect("PUT virtual proxy", str(entity.get("id", ""))):
            self._repository.update(entity)

    def link(self, proxy: ProxyService, proxy_id: str) -> None:
        """Link a virtual proxy to a proxy."""
        self._stop.change()
        with self._journal.effect("link proxy", proxy.host):
            self._repository.link(proxy, proxy_id)

    def build_version(self) -> str:
        """The version of the server."""
        self._stop.check()
        return self._repository.build_version()

    def clock_offset(self) -> float | None:
        """Seconds that the server's clock is ahead of ours."""
        return self._repository.clock_offset()

    def virtual_proxies(self) -> tuple[VirtualProxy, ...]:
        """All that the caller may see."""
        self._stop.check()
        return self._repository.virtual_proxies()

    def virtual_proxy(self, proxy_id: str) -> VirtualProxy:
        """One, whole."""
        self._stop.check()
        return self._repository.virtual_proxy(proxy_id)

    def find(self, prefix: str) -> VirtualProxy | None:
        """The one with this prefix."""
        self._stop.check()
        return self._repository.find(prefix)

    def proxies(self) -> tuple[ProxyService, ...]:
        """The proxies of the site."""
        self._stop.check()
        return self._repository.proxies()

    def nodes(self) -> tuple[Node, ...]:
        """The server nodes."""
        self._stop.check()
        return self._repository.nodes()

    def privileges(self) -> Privileges:
        """What the caller may do with what it sees."""
        self._stop.check()
        return self._repository.privileges()


class StoppableLogins:
    """Implements ports.Logins: while nothing was changed yet no login is begun after a stop was asked for."""

    def __init__(self, logins: Logins, stop: Stop) -> None:
        self._logins = logins
        self._stop = stop

    def attempt(self, proxy: ProxyService, virtual_proxy: VirtualProxy, token: str | None, user: User) -> LoginOutcome:
        """Log in, and out again. Raises Stopped."""
        self._stop.check()
        return self._logins.attempt(proxy, virtual_proxy, token, user)

    def reachable(self, proxy: ProxyService) -> bool:
        """Whether it can be reached from here."""
        return self._logins.reachable(proxy)

    def clock_offset(self, proxy: ProxyService) -> float | None:
        """Seconds that the proxy's clock is ahead of ours."""
        return self._logins.clock_offset(proxy)

    def refresh(self) -> None:
        """Drop pooled connections."""
        self._logins.refresh()


class RecordedKeyStore:
    """Implements ports.KeyStore: writes are recorded, and the ring's generation is compared with the journal's.

    `mirror` gives the generation that the journal last saw, `note` writes it down. `recovering`: an older copy of the
    keyring is given as it is; elsewhere it stops the run.
    """

    def __init__(
        self,
        keystore: KeyStore,
        journal: Journal,
        name: str,
        *,
        mirror: Callable[[], int],
        note: Callable[[int], None],
        recovering: bool = False,
        stop: Stop | None = None,
    ) -> None:
        self._keystore = keystore
        self._journal = journal
        self._name = name
        self._mirror = mirror
        self._note = note
        self._recovering = recovering
        self._stop = stop or Stop()

    def memory(self) -> Memory:
        """What the journal remembers of these keys, against what the keyring holds."""
        stored, known = self._keystore.ring().generation, self._mirror()
        if known > stored:
            return Memory.NEWER
        return Memory.LOST if known == 0 < stored else Memory.INTACT

    def accept(self) -> None:
        """Take the keyring as it is from now on."""
        self._note(self._keystore.ring().generation)

    def ring(self) -> Ring:
        """The stages as they are now. Raises RestoredKeyring where the journal knows of later ones."""
        ring = self._keystore.ring()
        if not self._recovering:
            self._compare(ring)
        if ring.intent is not None:
            self._stop.change()
        return ring

    def whole(self) -> None:
        """Raise RestoredKeyring where the journal remembers later changes than the keyring holds."""
        self._compare(self._keystore.ring())

    def _compare(self, ring: Ring) -> None:
        known = self._mirror()
        if ring.generation < known:
            raise restored(self._name, ring.generation, known)

    def save(self, ring: Ring) -> Ring:
        """Store the ring under the next generation. An intent in it is the point from which nothing stops a run."""
        if ring.intent is not None:
            self._stop.change()
        doing = f"{ring.intent.kind} to {short(ring.intent.after)}" if ring.intent else "no change under way"
        with self._journal.effect("save ring", doing):
            saved = self._keystore.save(ring)
        self._note(saved.generation)
        return saved

    def add_key(self, version: KeyVersion, key: PrivateKey) -> None:
        """Store a private key."""
        self._stop.check()
        with self._journal.effect("store key", short(version.fingerprint)):
            self._keystore.add_key(version, key)

    def add_certificate(self, text: str) -> Digest:
        """Keep a certificate's text."""
        self._stop.check()
        with self._journal.effect("store certificate"):
            return self._keystore.add_certificate(text)

    def remove(self, ring: Ring, version: KeyVersion) -> None:
        """Delete a private key."""
        self._stop.change()
        with self._journal.effect("delete key", short(version.fingerprint)):
            self._keystore.remove(ring, version)

    def clear(self) -> None:
        """Delete everything. The journal forgets the ring first, so that its absence is no surprise after a crash."""
        self._stop.change()
        self._note(0)
        with self._journal.effect("delete all keys"):
            self._keystore.clear()

    def key(self, version: KeyVersion) -> PrivateKey:
        """The private key."""
        return self._keystore.key(version)

    def certificate(self, digest: Digest) -> str:
        """The exact text."""
        return self._keystore.certificate(digest)
