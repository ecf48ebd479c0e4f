"""Keys move between a real gnome-keyring and sealed-file: all of them or, killed anywhere, all of them by the next run."""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from good_config import TWIN
from sampling import sample
from sandbox_process import Sandbox
from secret_service import SecretServiceDaemon
from values import INTENT, key, ring
from waiting import eventually

from rotator.errors import KeyStoreUnavailable, Refused
from rotator.keystore.os_keyring import OsKeyring
from rotator.keystore.registry import ITEM
from rotator.keystore.sealed_file import SealedFiles
from rotator.keystore.sealing import master_key
from rotator.model import KeyringBackend, Ring, Stage
from rotator.planning.migration import Move, move, needed
from rotator.ports import SecretStore


KILLED = """
import os, signal, sys
from rotator.keystore.os_keyring import OsKeyring
from rotator.keystore.sealed_file import SealedFiles
number, done = int(sys.argv[1]), 0
def counted(method):
    def call(*args):
        global done
        for _ in range(2):
            done += 1
            if done == number:
                os.kill(os.getpid(), signal.SIGKILL)
            if _ == 0:
                came = method(*args)
        return came
    return call
for store in (OsKeyring, SealedFiles):
    for name in ("set", "delete"):
        setattr(store, name, counted(getattr(store, name)))
from rotator.cli.app import run
sys.exit(run(sys.argv[2:]))
"""


def changed(sandbox: Sandbox, name: str, backend: str) -> Path:
    """The sandbox's configuration with another keyring, as a file of its own."""
    text = sandbox.config.read_text()
    start, end = text.index("[keyring]"), text.index("[state]")
    table = f'[keyring]\nbackend = "{backend}"\n'
    if backend == "sealed-file":
        table += f'path = "{sandbox.folder}/{name}"\nmaster_key = "file:{sandbox.folder}/master.key"\n'
    path = sandbox.folder / f"{name}.toml"
    path.write_text(text[:start] + table + "\n" + text[end:])
    path.chmod(0o600)
    return path


def sealed(sandbox: Sandbox, name: str) -> SealedFiles:
    return SealedFiles(sandbox.folder / name, master_key((sandbox.folder / "master.key").read_bytes(), "x"))


def works(sandbox: Sandbox, config: Path) -> None:
    """The keyring of a configuration serves: it logs in, rotates, and logs in again."""
    ended = sandbox.rotator("verify", config=config)
    assert ended.status == 0, ended.err
    ended = sandbox.rotator("rotate", "--now", config=config)
    assert ended.status == 0, ended.err
    ended = sandbox.rotator("verify", config=config)
    assert ended.status == 0, ended.err


def with_secret(sandbox: Sandbox) -> None:
    """The client certificate as PKCS#12, its password in the keyring."""
    password = sandbox.folder / "client.pfx.password"
    stored = sandbox.rotator("keys", "store-secret", "pfx", "--from", str(password))
    assert stored.status == 0, stored.err
    pair = f'cert = "{sandbox.folder}/client.pem"\nkey = "{sandbox.folder}/client_key.pem"\n'
    sandbox.configure((pair, f'pfx = "{sandbox.folder}/client.pfx"\npassword = "keyring:pfx"\n'))


def test_there_and_back_again_with_a_rotation_each_time(portal: Sandbox, secret_service: SecretServiceDaemon) -> None:
    with_secret(portal)
    assert portal.rotator("rotate", "--now").status == 0
    away, back = changed(portal, "away", "secret-service"), changed(portal, "back", "sealed-file")
    told = portal.rotator("keys", "migrate", "--to", str(away), "--json")
    assert told.status == 0, told.err
    assert (told.result["outcome"], told.result["from"], told.result["to"]) == (
        "migrated",
        f"sealed-file in {portal.folder}/keys",
        "secret-service",
    )
    assert told.result["change"]["to"] == ['backend = "secret-service"']
    assert told.result["change"]["where"] == f"{portal.config}, line 4"
    assert told.result["proxies"][0]["keys"] == 2
    assert portal.rotator("verify").status == 0
    works(portal, away)
    secret_service.restart()
    os.environ["DBUS_SESSION_BUS_ADDRESS"] = secret_service.address
    ended = portal.rotator("keys", "migrate", "--to", str(back), "--delete-source", config=away)
    assert ended.status == 0, ended.err
    assert f'path = "{portal.folder}/back"' in ended.out
    works(portal, back)
    # The source holds nothing but the word where its keys are.
    there = OsKeyring(KeyringBackend.SECRET_SERVICE)
    assert json.loads(there.get(ITEM) or "")["moved"] == f"sealed-file in {portal.folder}/back"
    assert there.get("secret/pfx") is None
    refused = portal.rotator("rotate", "--now", config=away)
    assert refused.status == 78
    assert f"were moved from the keyring secret-service to sealed-file in {portal.folder}/back" in refused.err
    said = portal.rotator("history", config=back).out
    assert "keyring  keys migrate" in said
    assert "prove portal" in said


def killed(number: int, config: Path, *arguments: str) -> bool:
    """Run and be killed before or after a change of a keyring; False where the run made fewer."""
    command = (sys.executable, "-c", KILLED, str(number), "--config", str(config), *arguments)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode in (0, -9), ended.stderr
    return ended.returncode == -9


def stored(store: SecretStore, names: list[str]) -> dict[str, str | None]:
    return {name: store.get(name) for name in names}


def names_of(sandbox: Sandbox, config: Path) -> list[str]:
    from rotator.config import load
    from rotator.keystore import inventory

    found = load(config, {})
    return list(inventory.names(sealed(sandbox, "keys"), found))


def count(config: Path, *arguments: str) -> int:
    """How many points there are to be killed at."""
    code = KILLED.replace(
        "from rotator.cli.app",
        "import atexit\natexit.register(lambda: print(done, file=sys.stderr))\nfrom rotator.cli.app",
    )
    command = (sys.executable, "-c", code, "0", "--config", str(config), *arguments)
    return int(subprocess.run(command, capture_output=True, text=True, timeout=120).stderr.split()[-1])


def forget(names: list[str]) -> None:
    """Delete these items. On a busy machine the daemon turns a call down now and then; the test asks again then."""

    def deleted() -> bool:
        try:
            for name in names:
                OsKeyring(KeyringBackend.SECRET_SERVICE).delete(name)
        except KeyStoreUnavailable:
            return False
        return True

    eventually("the items are deleted", deleted)


def kept_there(names: list[str]) -> dict[str, str | None]:
    """What the daemon holds of these items, asked likewise."""
    found: list[dict[str, str | None]] = []

    def told() -> bool:
        with suppress(KeyStoreUnavailable):
            found.append(stored(OsKeyring(KeyringBackend.SECRET_SERVICE), names))
        return bool(found)

    eventually("the items are told", told)
    return found[0]


def test_killed_anywhere_the_next_run_gets_there(
    portal: Sandbox, secret_service: SecretServiceDaemon, pytestconfig: pytest.Config
) -> None:
    with_secret(portal)
    assert portal.rotator("rotate", "--now").status == 0
    names = names_of(portal, portal.config)
    whole = stored(sealed(portal, "keys"), names)
    assert None not in whole.values()
    away = changed(portal, "away", "secret-service")
    kept = portal.folder / "kept"
    shutil.copytree(portal.folder / "keys", kept)
    command = ("keys", "migrate", "--to", str(away), "--delete-source")
    points = count(portal.config, *command)
    assert points >= 4 * len(names) - 4
    for number in sample(pytestconfig, "migrate", range(1, points + 1), 3):
        shutil.rmtree(portal.folder / "keys")
        shutil.copytree(kept, portal.folder / "keys")
        forget(names)
        assert killed(number, portal.config, *command), number
        here, gone = stored(sealed(portal, "keys"), names), kept_there(names)
        # Until everything is there, everything is here.
        moved = "moved" in (here[ITEM] or "")
        assert here == whole or (moved and {**gone, ITEM: ""} == {**whole, ITEM: ""}), number
        if not moved:
            assert portal.rotator("verify").status == 0
        again = portal.rotator(*command)
        assert again.status == 0, (number, again.err)
        assert kept_there(names) == whole
        assert [text for name, text in stored(sealed(portal, "keys"), names).items() if name != ITEM and text] == []
    works(portal, away)


def test_a_copy_that_was_left_behind_is_brought_up_to_date(portal: Sandbox) -> None:
    other = changed(portal, "other", "sealed-file")
    assert portal.rotator("keys", "migrate", "--to", str(other)).status == 0
    assert portal.rotator("rotate", "--now").status == 0
    # Whoever names the copy now is stopped, as it is out of date.
    assert portal.rotator("rotate", "--now", config=other).status == 4
    again = portal.rotator("keys", "migrate", "--to", str(other), "--json")
    assert again.result["outcome"] == "migrated"
    assert portal.rotator("keys", "migrate", "--to", str(other), "--json").result["outcome"] == "unchanged"
    works(portal, other)
    # The other way round it is refused, unless it is the deletion of what is out of date.
    newer = portal.rotator("keys", "migrate", "--to", str(other), "--json")
    assert (newer.status, newer.json["errors"][0]["reason"]) == (1, "Refused")
    assert portal.rotator("keys", "migrate", "--to", str(other), "--delete-source").status == 0
    works(portal, other)


def test_a_target_of_another_installation_is_refused(portal: Sandbox) -> None:
    other = changed(portal, "other", "sealed-file")
    sealed(portal, "other").set(ITEM, json.dumps({"v": 1, "installation": "0" * 32, "sites": []}))
    before = {path.name: path.read_bytes() for path in (portal.folder / "other").iterdir()}
    ended = portal.rotator("keys", "migrate", "--to", str(other))
    assert ended.status == 78
    assert "belongs to another installation" in ended.err
    assert {path.name: path.read_bytes() for path in (portal.folder / "other").iterdir()} == before


def test_the_keyring_itself_is_no_target(portal: Sandbox) -> None:
    ended = portal.rotator("keys", "migrate", "--to", str(portal.config))
    assert (ended.status, ended.out) == (2, "")
    assert "names the keyring of the configuration itself" in ended.err
    nothing = portal.rotator("keys", "migrate", "--to", str(portal.folder / "none.toml"))
    assert nothing.status == 78
    assert "cannot be read" in nothing.err


def test_a_source_with_a_lost_key_is_refused_before_anything_is_written(portal: Sandbox) -> None:
    other = changed(portal, "other", "sealed-file")
    lost = next(name for name in names_of(portal, portal.config) if "/key/" in name)
    sealed(portal, "keys").delete(lost)
    ended = portal.rotator("keys", "migrate", "--to", str(other))
    assert ended.status == 1
    assert "is not in the keyring" in ended.err
    assert sealed(portal, "other").get(ITEM) is None


@pytest.mark.parametrize("rewritten", [False, True])
def test_the_keys_of_a_site_that_the_keyring_has_forgotten_move_too(portal: Sandbox, rewritten: bool) -> None:
    """The item that names the sites was lost alone; the next command of another site makes it anew with that one only."""
    portal.configure(("[proxy.portal]", f"{TWIN}[proxy.portal]"))
    other = changed(portal, "other", "sealed-file")
    names = names_of(portal, portal.config)
    before = stored(sealed(portal, "keys"), names)
    sealed(portal, "keys").delete(ITEM)
    if rewritten:
        portal.rotator("rotate", "twin", "--now")
    command = ("keys", "migrate", "--to", str(other), "--delete-source")
    assert killed(2, portal.config, *command)  # it is entered again, and no more is done
    assert stored(sealed(portal, "keys"), names[1:]) == {name: before[name] for name in names[1:]}
    ended = portal.rotator(*command)
    assert ended.status == 0, ended.err
    assert stored(sealed(portal, "other"), names[1:]) == {name: before[name] for name in names[1:]}
    for again in (("due", "portal"), ("verify", "portal"), ("rotate", "portal", "--now")):
        ended = portal.rotator(*again, config=other)
        assert (ended.status, ended.err.count("error")) == (1 if again[0] == "due" else 0, 0), ended.err


def test_an_empty_keyring_is_not_made_one_of_this_installation(portal: Sandbox) -> None:
    shutil.move(portal.folder / "keys", portal.folder / "elsewhere")
    other = changed(portal, "other", "sealed-file")
    ended = portal.rotator("keys", "migrate", "--to", str(other))
    assert (ended.status, "holds nothing of rotator's" in ended.err) == (1, True)
    assert sealed(portal, "keys").get(ITEM) is None


def test_another_run_holds_it_back(portal: Sandbox) -> None:
    from datetime import UTC, datetime

    from rotator.state import lock

    other = changed(portal, "other", "sealed-file")
    commands = (("migrate", "--to", str(other)), ("rekey", "--new-master-key", f"file:{portal.folder}/master.key"))
    for name in lock.of_site("sandbox", portal.ready["qrs"].removeprefix("https://")):
        with lock.held(portal.folder / "state", name, "rotate", datetime.now(UTC)):
            for command in commands:
                ended = portal.rotator("keys", *command)
                assert (ended.status, "is being worked on by" in ended.err) == (3, True), ended.err


# --- decisions


ONE, TWO = key("a"), key("b", Stage.PENDING)


def generation(number: int, *keys: object) -> Ring:
    return replace(ring(*keys), generation=number)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "target", "deleting", "due"),
    [
        (Ring(), Ring(), False, Move.NOTHING),
        (generation(3, ONE), Ring(), False, Move.COPY),
        (generation(3, ONE), generation(2, ONE), True, Move.COPY),
        (generation(3, ONE), generation(3, ONE), False, Move.THERE),
        (Ring(), generation(3, ONE), True, Move.THERE),
        (generation(3, ONE), generation(4, ONE), True, Move.THERE),
        (generation(3, ONE, TWO), generation(4, ONE, TWO), True, Move.THERE),
        (generation(3, ONE), generation(4, ONE), False, None),
        (generation(3, ONE), generation(3, TWO), True, None),
        (generation(1, ONE), generation(1, TWO), True, None),
        (generation(3, ONE, TWO), generation(4, ONE), True, None),
        (generation(3, ONE), generation(4, TWO), True, None),
    ],
)
def test_what_may_move(source: Ring, target: Ring, deleting: bool, due: Move | None) -> None:
    if due is None:
        with pytest.raises(Refused) as caught:
            move("portal", source, target, deleting=deleting)
        assert caught.value.hint
        assert not re.search(r"\b1 times\b", caught.value.message)
    else:
        assert move("portal", source, target, deleting=deleting) is due


def test_what_a_ring_cannot_do_without() -> None:
    kept = ring(ONE, key("c", Stage.PREVIOUS), key("d", Stage.RETIRED), TWO)
    assert needed(kept) == (ONE,)
    assert needed(replace(kept, intent=INTENT)) == (ONE, TWO)
    assert needed(Ring()) == ()
