"""A keyring that hangs, refuses, lies, or loses what it was given, at any of its calls: nobody is locked out.

The calls are counted by a run without a fault, and the fault is then tried at each (a sample of them, unless soaking).
"""

import signal
import subprocess
import sys

import faulty_keyring
import pytest
import secretstorage
from old_keys import items, let_retired_keys_age
from sampling import drawn, record, soaking
from sandbox_process import Ended, Sandbox
from secret_service import SecretServiceDaemon
from witness import assert_one_clear_error, current_key, held, lets_in, logs_in, puts, run

from rotator.errors import KeyNotFound
from rotator.keystore.key_items import KeyItems
from rotator.model import KeyVersion


PRUNE = ("keys", "prune", "--keep", "0")
LIMIT = "0.5"
"""Seconds that a call of the keyring may take, in place of ten."""
UNDO = ("rotate", "--now", "--json")
"""A rotation while a proxy stays on the old key."""
COMMANDS = (("rotate", "--now"), ("rollback", "portal"), PRUNE, UNDO)
STUCK = "rim1.localhost"
NAMES = ("rotate", "rollback", "prune", "undo")
NAMED = ("keyring", "the index", "the item", "an older copy")


def with_fault(sandbox: Sandbox, fault: str, at: int, *arguments: str) -> Ended:
    command = (sys.executable, faulty_keyring.__file__, fault, str(at), LIMIT, "--config", str(sandbox.config))
    ended = subprocess.run((*command, *arguments), capture_output=True, text=True, timeout=120)
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def stored_keys(sandbox: Sandbox) -> list[bytes]:
    """Every private key that the keyring gives, in whatever stage. Of a prune that was cut short a line may be left."""
    kept = items(sandbox)
    return [kept.key(version).to_pem() for version in kept.ring().keys if holds(kept, version)]


def holds(kept: KeyItems, version: KeyVersion) -> bool:
    try:
        kept.key(version)
    except KeyNotFound:
        return False
    return True


def get_there(sandbox: Sandbox) -> None:
    """The fault is gone: a rotation completes within two runs, after `recover` where a person was asked for."""
    for _ in range(2):
        again = sandbox.rotator("rotate", "--now")
        if again.status == 4:
            recovered = sandbox.rotator("recover", "portal")
            assert recovered.status == 0, (again.err, recovered.err)
        elif again.status == 0:
            return
    raise AssertionError(again.err)


@pytest.mark.parametrize(("command", "name"), [*zip(COMMANDS, NAMES, strict=True)], ids=NAMES)
def test_a_keyring_that_fails_at_any_call_loses_nobody_their_login(
    pytestconfig: pytest.Config, portal: Sandbox, command: tuple[str, ...], name: str
) -> None:
    assert portal.rotator("rotate", "--now").status == 0
    prepare(portal, command)
    counted = with_fault(portal, "counts", 0, *command)
    if command == UNDO:
        assert (counted.status, counted.result["reason"]) == (1, "Undone"), counted.err
        calm(portal)
    else:
        assert counted.status == 0, counted.err
    calls, writes = (int(number) for number in counted.err.split()[-2:])
    assert calls > (5 if command == PRUNE else 15)
    assert writes > 1
    cases = [(fault, at) for fault in faulty_keyring.CALLS for at in range(1, calls + 1)]
    cases += [(fault, at) for fault in faulty_keyring.WRITES for at in range(1, writes + 1)]
    if not soaking(pytestconfig):
        # One of each fault, at a place drawn anew.
        chance = drawn(pytestconfig, f"keyring {name}")
        faults = chance.sample((*faulty_keyring.CALLS, *faulty_keyring.WRITES), 4)
        cases = [chance.choice([case for case in cases if case[0] == fault]) for fault in faults]
    statuses: dict[int, int] = {}
    for fault, at in cases:
        prepare(portal, command)
        portal.control("DELETE", "/sessions")
        portal.forget_requests()
        key = current_key(portal)
        ended = with_fault(portal, fault, at, *command)
        where = f"{fault} at {at} of {name}: {ended}"
        assert command != UNDO or ended.status != 0, where
        assert_what_was_promised(portal, ended, key, where, stuck=command == UNDO)
        statuses[ended.status] = statuses.get(ended.status, 0) + 1
        calm(portal)
        get_there(portal)
    counts = {f"exit_{status}": count for status, count in statuses.items()}
    record("keyring faults", name, cases=len(cases), **counts)


def prepare(sandbox: Sandbox, command: tuple[str, ...]) -> None:
    """Let there be what the command is about."""
    if command == PRUNE:
        let_retired_keys_age(sandbox)
    if command == UNDO:
        sandbox.fault(f"stuck={STUCK}")


def calm(sandbox: Sandbox) -> None:
    """No proxy stays on an old key; one that did takes the certificate when somebody saves it in the QMC."""
    sandbox.control("DELETE", "/faults")
    for service in sandbox.qrs("GET", "/qrs/proxyservice/full"):
        if service["serverNodeConfiguration"]["hostName"] == STUCK:
            sandbox.qrs("PUT", f"/qrs/proxyservice/{service['id']}", service)


def assert_what_was_promised(sandbox: Sandbox, ended: Ended, key: bytes, where: str, *, stuck: bool = False) -> None:
    """By the exit status: the old key logs in, or a person is told, or it is done; always some stored key logs in.

    While a proxy is `stuck` on the key that it had, on each proxy for itself.
    """
    assert ended.status in (0, 1, 4, 137), where
    if ended.status == 1:
        assert logs_in(sandbox, key), where
    if ended.status in (1, 4):
        # An undo goes its way without the keyring, whose failure is then no cause.
        assert_one_clear_error(ended, *NAMED, *(("failed its test login",) if stuck else ()))
    stored = stored_keys(sandbox)
    if stuck:
        hosts = set().union(*(lets_in(sandbox, each) for each in stored))
        assert hosts == {proxy["host"] for proxy in sandbox.ready["proxies"]}, where
    else:
        assert any(logs_in(sandbox, each) for each in stored), where


def test_nothing_is_sent_by_a_keyring_that_stores_nothing(portal: Sandbox) -> None:
    """The way back is stored first: with a keyring that lies about its very first write the server is left alone."""
    for fault in ("lies", "forgets"):
        portal.forget_requests()
        ended = with_fault(portal, fault, 1, "rotate", "--now")
        assert ended.status == 1, ended.err
        assert_one_clear_error(ended, "does not give back")
        assert puts(portal) == 0
    get_there(portal)


@pytest.fixture
def on_secret_service(sandbox: Sandbox, secret_service: SecretServiceDaemon) -> Sandbox:
    """The sandbox with its keys in a real gnome-keyring."""
    text = sandbox.config.read_text()
    sealed = text[text.index("backend = ") : text.index("[state]")]
    sandbox.configure((sealed, 'backend = "secret-service"\n\n'))
    created = sandbox.rotator("create-proxy", "--yes")
    assert created.status == 0, created.err
    return sandbox


@pytest.mark.parametrize("how", ["stopped", "locked"])
def test_a_real_keyring_that_is_gone_in_the_middle_of_a_rotation(
    on_secret_service: Sandbox, secret_service: SecretServiceDaemon, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The new key is in place and logs in, and whether that could be noted is not known: a person is told how to go on."""
    sandbox = on_secret_service
    daemon = secret_service._daemon
    assert daemon is not None

    def strike(_: int) -> None:
        if how == "stopped":
            daemon.send_signal(signal.SIGSTOP)
        else:
            bus = secretstorage.dbus_init()
            secretstorage.get_default_collection(bus).lock()
            bus.close()

    command = (sys.executable, faulty_keyring.__file__, "real", "0", "2", "--config", str(sandbox.config))
    ended = held(sandbox, "qrs:PUT", strike, (*command, "rotate", "--now"))
    assert ended.status == 4, ended.err
    assert_one_clear_error(ended, "the new key is in place and logs in")
    assert "mend the keyring" in ended.err
    if how == "stopped":
        daemon.send_signal(signal.SIGCONT)
    else:
        secret_service.restart()
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", secret_service.address)
    get_there(sandbox)
    assert logs_in(sandbox, current_key(sandbox))


@pytest.mark.parametrize("how", ["stopped", "locked"])
def test_a_real_keyring_that_is_gone_before_anything_began(
    on_secret_service: Sandbox, secret_service: SecretServiceDaemon, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    sandbox = on_secret_service
    key = current_key(sandbox)
    sandbox.forget_requests()
    daemon = secret_service._daemon
    assert daemon is not None
    if how == "stopped":
        daemon.send_signal(signal.SIGSTOP)
    else:
        secret_service.restart(unlock=False)
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", secret_service.address)
    command = (sys.executable, faulty_keyring.__file__, "real", "0", "2", "--config", str(sandbox.config))
    ended = subprocess.run((*command, "rotate", "--now"), capture_output=True, text=True, timeout=120)
    told = Ended(ended.returncode, ended.stdout, ended.stderr)
    assert told.status == 1, told.err
    assert_one_clear_error(told, "keyring")
    assert logs_in(sandbox, key)
    assert puts(sandbox) == 0
    if how == "stopped":
        daemon.send_signal(signal.SIGCONT)
    else:
        secret_service.restart()
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", secret_service.address)
    ended_well = run(sandbox, "rotate", "--now")
    assert ended_well.status == 0, ended_well.err
