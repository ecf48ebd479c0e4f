"""The adapters put together for a virtual proxy; those that lead to its site are put together in `access`."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from rotator import ports
from rotator.cli import telling
from rotator.cli.access import SiteAccess
from rotator.cli.keyring import Keyring
from rotator.cli.session import Session
from rotator.cli.starter import started_by
from rotator.cli.terminal import can_ask
from rotator.errors import (
    JournalError,
    RotatorError,
    UsageError,
)
from rotator.handover import Hook
from rotator.keys import PrivateKey
from rotator.keystore import registry
from rotator.model import (
    Auth,
    Cut,
    ProxySpec,
    Result,
    Site,
    Standing,
    counted,
)
from rotator.planning.due import DueReason, due
from rotator.ports import World
from rotator.qlik import routes
from rotator.qlik.transport import exchanges
from rotator.recorded import RecordedKeyStore, RecordedRepository, StoppableLogins, Unrecorded
from rotator.scene import Scene
from rotator.state import lock
from rotator.state.journal import Journal, generation
from rotator.stopping import Stop


if TYPE_CHECKING:
    from rotator.keystore.key_items import KeyItems


class SystemClock:
    """Implements ports.Clock."""

    def now(self) -> datetime:
        """The present, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class KeyMaker:
    """Makes private keys; one that is expected is made in a thread, while the server is asked other things."""

    def __init__(self) -> None:
        self._bits = 0
        self._made: list[PrivateKey] = []
        self._thread: threading.Thread | None = None

    def expect(self, bits: int) -> None:
        """Begin to make a key of `bits` bits."""
        self._bits = bits
        thread = threading.Thread(
            target=lambda: self._made.append(PrivateKey.generate(bits)), daemon=True, name="rotator-key"
        )
        with suppress(RuntimeError):  # where the machine has no room for it the key is made when it is wanted
            thread.start()
            self._thread = thread

    def generate(self, bits: int) -> PrivateKey:
        """A new key; the expected one if it is of this size."""
        if self._thread is not None and bits == self._bits:
            self._thread.join()
            self._thread = None
            if self._made:
                return self._made.pop()
        return PrivateKey.generate(bits)


class Wiring:
    """Scenes for the virtual proxies of a configuration. `consent`: True yes to all, None ask, False nobody to ask."""

    def __init__(self, session: Session, *, consent: bool | None = None) -> None:
        self._session = session
        self._consent = consent
        self._keys = KeyMaker()
        self._sites: dict[str, SiteAccess] = {}
        self._clock = SystemClock()
        self._stop = Stop()
        self.keyring = Keyring(session.config)

    def expect_key(self, bits: int) -> None:
        """A key of so many bits will be wanted soon."""
        self._keys.expect(bits)

    def scene(self, spec: ProxySpec, *, recovering: bool = True) -> Scene:
        """One virtual proxy with its world, for looking only. Raises KeyStoreError, ServerError, ConfigError.

        `recovering`: an older copy of the keyring is looked at as it is; else it stops the look.
        """
        access = self.access(self._session.config.sites[spec.site])
        items, state = self.keyring.keystore(spec), self._session.config.state

        def remembered() -> int:
            with suppress(JournalError):
                return generation(state, items.base, self.keyring.site_ids)
            return 0

        keystore = RecordedKeyStore(
            items,
            Unrecorded(),
            spec.name,
            mirror=remembered,
            note=lambda _: None,
            recovering=recovering,
            stop=self._stop,
        )
        return self._scene(spec, access.repository, keystore, Unrecorded())

    def _recorded(self, spec: ProxySpec, journal: Journal, *, recovering: bool) -> Scene:
        """The same for writing: every change is in the journal."""
        items: KeyItems = self.keyring.writable(spec, journal)
        entry = self.keyring.entry(spec)
        journal.note_site(entry.id, entry.name, entry.qrs)
        access = self.access(self._session.config.sites[spec.site])
        keystore = RecordedKeyStore(
            items,
            journal,
            spec.name,
            mirror=lambda: journal.generation(items.base, self.keyring.site_ids),
            note=lambda number: journal.note_generation(items.base, number),
            stop=self._stop,
            recovering=recovering,
        )
        return self._scene(spec, RecordedRepository(access.repository, journal, self._stop), keystore, journal)

    def _scene(
        self, spec: ProxySpec, repository: ports.Repository, keystore: ports.KeyStore, journal: ports.Journal
    ) -> Scene:
        site = self._session.config.sites[spec.site]
        access = self.access(site)
        world = World(
            repository=repository,
            logins=StoppableLogins(access.logins, self._stop),
            sessions=access.sessions,
            keystore=keystore,
            journal=journal,
            clock=self._clock,
            hand_over=Hook(spec.hook),
            generate=self._keys.generate,
            tell=self._session.tell,
            consent=lambda cuts: self._ask(spec, cuts),
        )
        return Scene(spec, site.auth, world, way=site.jwt.prefix if site.auth is Auth.JWT and site.jwt else None)

    def each(
        self,
        specs: Sequence[ProxySpec],
        verb: Callable[[Scene], Result],
        *,
        recovering: bool = False,
        finishing: bool = False,
    ) -> tuple[list[Result], list[RotatorError]]:
        """Do `verb` for each under its lock, recorded, and tell afterwards what is to be told of it."""
        results, errors = self._session.each(
            specs, lambda spec: self.locked(spec, verb, recovering=recovering, finishing=finishing)
        )
        return results, [*errors, *telling.after_run(self._session, self, specs, results)]

    def access_standings(self) -> list[Standing]:
        """The client certificates that this run used."""
        used = self._sites.items()
        return [Standing(name, "", access.certificate_ends) for name, access in used if access.certificate_ends]

    def locked(
        self,
        spec: ProxySpec,
        verb: Callable[[Scene], Result],
        *,
        looking: bool = False,
        recovering: bool = False,
        finishing: bool = False,
    ) -> Result:
        """Do `verb` while the lock of the site is held, and write it to the journal. Raises LockHeld, JournalError.

        `looking`: it writes nothing, so that there is nothing to record. `recovering`: an older copy of the keyring
        does not stop it. `finishing`: what an earlier run left is all that it does, where there is something left.
        """
        config, session = self._session.config, self._session
        if not looking:
            self._stop.listen()
            self._stop.begin(spec.name)
        with ExitStack() as opened:
            for name in lock.of_site(spec.site, registry.address(config.sites[spec.site].qrs)):
                opened.enter_context(lock.held(config.state, name, session.command, self._clock.now()))
            if looking:
                return verb(self.scene(spec, recovering=recovering))
            with ExitStack() as recorded:
                try:
                    journal = recorded.enter_context(
                        closing(Journal(config.state, self._clock.now, exchanges, session.warn, self._clock.monotonic))
                    )
                    run = journal.run(spec.site, spec.name, session.command, started_by(os.environ))
                    ending = recorded.enter_context(run)
                except JournalError as error:
                    left = self._left(spec, finishing=finishing)
                    if left is None:
                        raise
                    session.warn(f"{error.message}: there is {left}, so it goes on; history will have a gap")
                    self._stop.change()
                    return verb(self.scene(spec, recovering=recovering))
                return ending.took(verb(self._recorded(spec, journal, recovering=recovering)))

    def _left(self, spec: ProxySpec, *, finishing: bool) -> str | None:
        """What an earlier run left that is not put off for want of a journal: users or consumers may be locked out by it.

        Any command ends a change under way and begins nothing else; of the rest that holds for one that is `finishing`.
        """
        ring = self.keyring.keystore(spec).ring()
        if ring.intent is None and not finishing:
            return None
        verdict = due(spec, ring, self._clock.now())
        return verdict.message if verdict.reason in (DueReason.UNFINISHED, DueReason.UNDELIVERED) else None

    def login_url(self, spec: ProxySpec) -> str | None:
        """Where tokens for a virtual proxy are taken: on the central proxy, or else the first host that it allows.

        None where neither is known. Raises ServerError.
        """
        proxies = self.access(self._session.config.sites[spec.site]).repository.proxies()
        route = routes.to_proxy(self._session.config.sites[spec.site], proxies[0]) if proxies else None
        host = route.host if route else next(iter(spec.host_allow_list), None)
        return None if host is None else f"https://{host}/{spec.prefix}/"

    def access(self, site: Site) -> SiteAccess:
        """The adapters of a site, made at first use. Raises KeyMaterialError, SecretUnavailable, TlsError."""
        if site.name not in self._sites:
            specs = tuple(self._session.config.proxies.values())
            self._sites[site.name] = SiteAccess(site, self.keyring, specs, self._session.at_end)
        return self._sites[site.name]

    def _ask(self, spec: ProxySpec, cuts: Sequence[Cut]) -> bool:
        if self._consent:
            return True
        told = ", ".join(f"{cut.host} ({_sessions(cut)})" for cut in cuts)
        if self._consent is None and can_ask():
            typer.echo(f"rotator: {spec.name}: these proxies restart, and end their sessions: {told}", err=True)
            try:
                with self._stop.waiting():
                    return typer.confirm("Go on?", err=True)
            except typer.Abort:
                if self._stop.begun:  # of several virtual proxies, one before this
                    raise KeyboardInterrupt from None
                raise
        raise UsageError(
            f"{spec.name}: this restarts proxies and ends their sessions: {told}",
            hint="say --yes to go on without being asked",
        )


def _sessions(cut: Cut) -> str:
    if cut.sessions is None:
        return "sessions not known"
    return counted(cut.sessions, "session")
