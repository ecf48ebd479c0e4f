"""A rotator: its keyring, its state directory, its clock, and its runs, each as the command line makes them."""

import base64
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast
from unittest import mock

from rotator.adoption import adopt, release, replace_key
from rotator.cli import wiring
from rotator.cli.session import Session
from rotator.errors import RotatorError
from rotator.inspection import verify
from rotator.keys import PrivateKey
from rotator.keystore import registry
from rotator.model import (
    Auth,
    CertificateAccess,
    Config,
    KeyringBackend,
    KeyringSettings,
    ProxySpec,
    Result,
    Ring,
    Site,
    User,
)
from rotator.provisioning import create_proxy
from rotator.recovery import LostKey, prune, recover, rollback
from rotator.rotation import Options, rotate
from rotator.scene import Scene
from rotator.state import database, directory
from rotator.state.journal import Journal
from worlds import pool
from worlds.effects import CRASH_AFTER, Crash, Effects, Stroke
from worlds.keyring import INDEX, MemoryKeyring
from worlds.server import fingerprint
from worlds.timeline import LocalClock
from worlds.wire import access


if TYPE_CHECKING:
    from rotator.cli.access import SiteAccess
    from worlds.world import World

Verb = Callable[[Scene], Result]
VERBS: Final[dict[str, Verb]] = {
    "create-proxy": create_proxy,
    "rotate --now": lambda scene: rotate(scene, Options(now=True, ignore_window=True)),
    "rotate": lambda scene: rotate(scene, Options()),
    "rotate --prepare": lambda scene: rotate(scene, Options(now=True, prepare=True)),
    "verify": verify,
    "rollback": rollback,
    "recover": recover,
    "keys prune": lambda scene: prune(scene, 0),
}
"""The commands that need nothing but a name, as the command line calls them."""
RECOVERING: Final = frozenset({"adopt", "recover"})
"""Those that take an older copy of the keyring as it is."""

FINISHING: Final = frozenset({"rotate"})
"""Those that do no more than what an earlier run left, where it left something."""


def rotating(**options: bool) -> Verb:
    return lambda scene: rotate(scene, Options(**options))


def configured(world: "World", **changes: object) -> None:
    world.one.spec = replace(world.one.spec, **changes)  # type: ignore[arg-type]


def adopting(key: PrivateKey) -> Verb:
    return lambda scene: adopt(scene, key)


def releasing(scene: Scene) -> Result:
    return release(scene, None)


def replacing(fingerprint: str, *, lost: bool) -> Verb:
    if lost:
        return lambda scene: recover(scene, LostKey(fingerprint))
    return lambda scene: replace_key(scene, fingerprint)


class _Quiet(Session):
    """A session that keeps what it is told."""

    told: list[str]

    def tell(self, line: str) -> None:
        self.told.append(line)

    def warn(self, line: str) -> None:
        self.told.append(f"warning: {line}")


class _Database:
    """An SQLite connection whose writes are effects."""

    def __init__(self, database: sqlite3.Connection, effects: Effects) -> None:
        self._database = database
        self._effects = effects

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if statement.startswith(("SELECT", "PRAGMA", "ROLLBACK")):
            return self._database.execute(statement, *values)
        act = self._effects.strike("journal", statement.split(maxsplit=1)[0])
        if act not in (None, CRASH_AFTER):
            full = sqlite3.OperationalError("database or disk is full")
            full.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise full
        done = self._database.execute(statement, *values)
        if act == CRASH_AFTER:
            self._effects.die()
        return done

    def close(self) -> None:
        self._database.close()


@dataclass(frozen=True)
class Ended:
    """How a run ended. `crashed`: not by itself. `plain`: of a command as it is, not of a verb of a test's own."""

    command: str
    exit: int | None
    result: Result | None = None
    error: RotatorError | None = None
    crashed: bool = False
    told: tuple[str, ...] = ()
    plain: bool = True
    effects: Effects = field(default_factory=Effects)

    @property
    def message(self) -> str:
        return self.error.message if self.error else self.result.message if self.result else "crashed"

    @property
    def hint(self) -> str:
        return (self.error.hint or "") if self.error else ""


class Rotator:
    """One installation of rotator that looks after one virtual proxy."""

    def __init__(self, world: "World", name: str, spec: ProxySpec, folder: Path) -> None:
        self.world = world
        self.name = name
        self.spec = spec
        self.keyring = MemoryKeyring()
        self.keyring.stored = lambda item, text: world.stored(self, item, text)
        self.clock = LocalClock(world.timeline)
        self.effects = Effects()
        self.state = folder / name
        self.verb = ""
        self.user = r"INTERNAL\sa_api"
        self.confirmed: str | None = None
        self.current: str | None = None
        self.unfinished = False
        self.site = Site(
            name=spec.site,
            qrs="https://qrs.example.com:4242",
            root_ca=Path("root.pem"),
            proxy_ca="root.pem",
            auth=Auth.CERTIFICATE,
            certificate=CertificateAccess(User("INTERNAL", "sa_api")),
        )

    @property
    def config(self) -> Config:
        return Config(
            source=Path("rotator.toml"),
            keyring=KeyringSettings(KeyringBackend.SEALED_FILE),
            state=self.state,
            sites=MappingProxyType({self.site.name: self.site}),
            proxies=MappingProxyType({self.spec.name: self.spec}),
        )

    def run(self, command: str, strokes: Sequence[Stroke] = (), verb: Verb | None = None, **options: bool) -> Ended:
        """One run of a command: as the command line makes it, or with a verb of its own."""
        world = self.world
        effects = Effects(strokes, world.watch)
        outer = (self.effects, self.verb)
        self.effects = self.keyring.effects = effects
        self.verb = command
        if not outer[1]:
            self.unfinished = self.intent() is not None
            world.begins(self)
        session = _Quiet(command, _config=self.config)
        session.told = []
        try:
            with _replaced(effects, world):
                made = wiring.Wiring(session, consent=True)
                made.keyring.__dict__["store"] = self.keyring
                made._clock = cast("wiring.SystemClock", self.clock)
                made._sites[self.site.name] = cast("SiteAccess", access(self.site, self))
                options = {"recovering": command in RECOVERING, "finishing": command in FINISHING, **options}
                result = made.locked(self.spec, verb or VERBS[command], **options)
        except RotatorError as error:
            ended = Ended(command, int(error.exit_status), None, error, told=tuple(session.told), effects=effects)
        except Crash:
            ended = Ended(command, None, crashed=True, told=tuple(session.told), effects=effects)
        else:
            ended = Ended(command, result.exit_status, result, told=tuple(session.told), effects=effects)
        finally:
            before = self.keyring.fingerprints()
            if self.keyring.ended():
                world.forgotten(self, before)
            self.effects, self.verb = outer
            self.keyring.effects = outer[0]
        ended = replace(ended, plain=verb is None)
        if not self.verb:
            world.ended(self, ended)
        return ended

    def _document(self) -> dict[str, Any]:
        """The index as it is stored, read without any of rotator's code."""
        text = next((text for name, text in self.keyring.items.items() if name.endswith(INDEX)), "{}")
        document: dict[str, Any] = json.loads(text)
        return document

    def ends(self) -> set[str | None]:
        """Both ends of the open intent: a key that was lost meanwhile may still have to be undone."""
        intent = self.intent() or {}
        return {intent.get("before"), intent.get("after")}

    def intent(self) -> dict[str, Any] | None:
        """The change under way."""
        return self._document().get("intent")

    def shown_current(self) -> str | None:
        """The fingerprint of the current key."""
        keys = self._document().get("keys", [])
        return next((str(key["fingerprint"]) for key in keys if key["stage"] == "current"), None)

    def certificates(self) -> list[tuple[str, str]]:
        """Fingerprint and text of each certificate that the keyring keeps for one of its keys."""
        texts = [
            base64.b64decode(text).decode() for name, text in self.keyring.items.items() if "/certificate/" in name
        ]
        held = self.keyring.fingerprints()
        pairs = [(fingerprint(text), text) for text in texts]
        return sorted((shown, text) for shown, text in pairs if shown in held)

    def ring(self) -> Ring:
        """What the keyring holds now, looked at from outside of any run."""
        self.keyring.effects = Effects()
        made = wiring.Wiring(_Quiet("look", _config=self.config), consent=True)
        made.keyring.__dict__["store"] = self.keyring
        return made.keyring.keystore(self.spec).ring()

    # --- what happens to its files

    def copy_state(self) -> Path | None:
        if not self.state.exists():
            return None
        copy = Path(tempfile.mkdtemp(dir=self.state.parent)) / "state"
        shutil.copytree(self.state, copy)
        return copy

    @staticmethod
    def of_one(state: Path, items: Mapping[str, str]) -> bool:
        """Whether they are of one installation: with the half of another one every run is refused, and rightly so (78)."""
        in_state = directory.installation(state) if state.exists() else None
        in_keyring = json.loads(items[registry.ITEM])["installation"] if registry.ITEM in items else None
        return None in (in_state, in_keyring) or in_state == in_keyring

    def lose_state(self) -> None:
        shutil.rmtree(self.state, ignore_errors=True)

    def ahead(self, state: Path) -> bool:
        """Whether the journal of a state directory knows more changes of the keyring than the keyring itself."""
        file = state / database.FILE
        if not file.exists():
            return False
        with closing(sqlite3.connect(file)) as journal:
            (noted,) = journal.execute("SELECT max(number) FROM generation").fetchone()
        return bool((noted or 0) > self._document().get("generation", 0))

    def restore_state(self, copy: Path) -> None:
        self.lose_state()
        shutil.copytree(copy, self.state)


@contextmanager
def _replaced(effects: Effects, world: "World") -> Iterator[None]:
    """The journal's writes are effects, and keys come from the pool."""

    class Watched(Journal):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self._database = cast("sqlite3.Connection", _Database(self._database, effects))

    def generate(bits: int) -> PrivateKey:
        fresh = bits == pool.BITS and world.one.verb != "verify"
        return world.new_key() if fresh else world.other_key(bits)

    with mock.patch.object(wiring, "Journal", Watched), mock.patch.object(PrivateKey, "generate", generate):
        yield
