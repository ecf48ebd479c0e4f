"""An undo puts back what was there, over what it put there itself and nothing else; a failure is noted for later."""

from datetime import UTC, datetime, timedelta

from sandbox_process import ROTATOR, Sandbox
from witness import current_key, held, logs_in, paste

from rotator.cli.keyring import Keyring
from rotator.config import load
from rotator.model import Ring


def test_an_undo_leaves_alone_what_somebody_put_there_meanwhile(portal: Sandbox) -> None:
    """Their key is somebody's live login: the undo reads first, and a person is told both causes."""
    pasted: list[bytes] = []
    portal.fault("stuck=rim1.localhost")
    command = (*ROTATOR, "--config", str(portal.config), "rotate", "--now")
    # The logins with the current key come first: csrftoken, user and logout on each of two proxies.
    ended = held(portal, "proxy#7", lambda _: pasted.append(paste(portal)), command)
    assert ended.status == 4, ended.err
    assert "failed its test login" in ended.err
    assert "the old certificate was not put back over one that is neither" in ended.err
    assert "rotator adopt portal --key FILE" in ended.err
    assert "paste" not in ended.err
    portal.control("DELETE", "/faults")
    # One more edit of theirs makes the stuck proxy restart too.
    assert logs_in(portal, paste(portal))
    assert pasted


def test_a_failure_puts_the_next_unattended_run_off(portal: Sandbox) -> None:
    key = current_key(portal)
    portal.fault("status=403@qrs:PUT#*")
    failed = portal.rotator("rotate", "--now")
    assert failed.status == 1
    assert "unattended not before" in failed.err
    portal.control("DELETE", "/faults")
    assert logs_in(portal, key)
    retry = ring_of(portal).retry
    assert retry is not None
    assert timedelta(0) < retry.at - datetime.now(UTC) <= timedelta(hours=1)
    assert portal.rotator("rotate", "--now").status == 0
    assert ring_of(portal).retry is None


def ring_of(sandbox: Sandbox) -> Ring:
    """The stages as the keyring has them."""
    config = load(sandbox.config, {})
    return Keyring(config).keystore(config.proxies["portal"]).ring()
