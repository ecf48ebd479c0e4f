"""A keyring that is lost or restored, and rights that are: nothing goes quiet, and nobody is sent astray."""

import shutil
import signal
import subprocess

import pytest
from good_config import TWIN
from sandbox_process import ROTATOR, Sandbox

from rotator.keystore import registry
from rotator.keystore.sealed_file import SealedFiles
from rotator.keystore.sealing import master_key


def test_a_keyring_that_is_gone_is_told_by_due_too(portal: Sandbox) -> None:
    (portal.folder / "keys").rename(portal.folder / "elsewhere")
    due = portal.rotator("due")
    assert (due.status, due.out) == (255, "")
    assert "portal: rotator has changed its keys 4 times, but the keyring holds no keys of it any more" in due.err
    shown = portal.rotator("status", "--json")
    assert (shown.status, shown.result["reason"]) == (4, "Drift")
    assert "rotator recover portal --replace-lost-key" in shown.result["hint"]
    recovered = portal.rotator("recover")
    assert recovered.status == 4
    assert "the private key of" in recovered.err
    assert "rotator recover portal --replace-lost-key" in recovered.err
    unconfirmed = portal.rotator("recover", "portal", "--replace-lost-key")
    assert "rotator recover portal --replace-lost-key --fingerprint" in unconfirmed.err
    fingerprint = shown.result["server_fingerprint"]
    assert portal.rotator("recover", "portal", "--replace-lost-key", "--fingerprint", fingerprint, "--yes").status == 0
    assert portal.rotator("due").status == 1
    assert portal.rotator("status").status == 0


def test_a_keyring_that_was_restored_is_told_by_due_and_status(portal: Sandbox) -> None:
    shutil.copytree(portal.folder / "keys", portal.folder / "older")
    assert portal.rotator("rotate", "--now").status == 0
    assert portal.rotator("rollback", "portal").status == 0
    shutil.rmtree(portal.folder / "keys")
    (portal.folder / "older").rename(portal.folder / "keys")
    due = portal.rotator("due")
    assert due.status == 255
    assert "an older copy of them (4)" in due.err
    shown = portal.rotator("status", "--json")
    assert (shown.status, shown.result["reason"]) == (4, "RestoredKeyring")
    assert portal.rotator("doctor").status == 4
    assert portal.rotator("recover").status == 0
    assert portal.rotator("status").status == 0
    assert portal.rotator("doctor").status == 0
    assert portal.rotator("due").status == 1


@pytest.mark.parametrize("lost", ["the keyring", "the item that names the sites"])
def test_due_does_not_go_quiet_where_the_journal_is_damaged_too(portal: Sandbox, lost: str) -> None:
    """Nobody can tell then whether there ever was a key."""
    journal = portal.folder / "state" / "journal.sqlite"
    whole = journal.read_bytes()
    journal.write_bytes(b"damaged" * 1000)
    assert portal.rotator("due").status == 1
    if lost == "the keyring":
        (portal.folder / "keys").rename(portal.folder / "elsewhere")
    else:
        lose_sites(portal)
    due = portal.rotator("due")
    assert (due.status, due.out) == (255, "")
    assert f"the journal {journal} is damaged" in due.err
    assert "unless the keyring has lost its item installation" in due.err
    journal.write_bytes(whole)
    assert portal.rotator("due").status == (255 if lost == "the keyring" else 1)


def test_before_the_first_run_there_is_no_journal_and_nothing_due(portal: Sandbox) -> None:
    for folder in ("keys", "state"):
        shutil.rmtree(portal.folder / folder)
    due = portal.rotator("due")
    assert (due.status, due.err) == (1, "")


def test_the_wrong_keyring_is_refused(portal: Sandbox) -> None:
    shutil.move(portal.folder / "keys", portal.folder / "other-keys")
    ended = portal.rotator("status", "--json")
    (error,) = ended.json["errors"]
    assert (ended.status, ended.json["exit"], error["reason"]) == (4, 4, "Drift")
    assert (error["message"], error["hint"]) == (ended.result["message"], ended.result["hint"])
    said = portal.rotator("status")
    assert (said.status, said.out.splitlines()[1].split()[0]) == (4, "portal")
    assert said.err == f"rotator: error: {error['message']}\nrotator: hint: {error['hint']}\n" == ended.err
    (portal.folder / "state" / "installation").write_text("0" * 32)
    shutil.rmtree(portal.folder / "keys")
    shutil.move(portal.folder / "other-keys", portal.folder / "keys")
    ended = portal.rotator("rotate", "--now")
    assert ended.status == 78
    assert "different installations" in ended.err


def test_a_lost_state_directory_loses_no_key(portal: Sandbox) -> None:
    shutil.rmtree(portal.folder / "state")
    assert portal.rotator("rotate", "--now").status == 0


def test_the_keyring_taken_away(portal: Sandbox) -> None:
    (portal.folder / "master.key").unlink()
    assert portal.rotator("due").status == 255
    ended = portal.rotator("rotate", "--now")
    assert ended.status == 1
    assert "master.key" in ended.err


def test_another_site_with_the_same_prefix_is_not_taken_for_one_that_was_lost(portal: Sandbox) -> None:
    portal.configure(("[proxy.portal]", f"{TWIN}[proxy.portal]"))
    due = portal.rotator("due", "twin")
    assert (due.status, due.err) == (1, "")


@pytest.fixture
def cut_short(portal: Sandbox) -> Sandbox:
    """A rotation killed after its PUT."""
    portal.forget_requests()
    portal.fault("slow=60@proxy#10")
    command = (*ROTATOR, "--config", str(portal.config), "rotate", "--now")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    portal.wait_held(process)
    assert len(portal.requests("qrs", "PUT")) == 1
    process.send_signal(signal.SIGKILL)
    process.wait()
    portal.control("DELETE", "/faults")
    return portal


def test_a_damaged_journal_does_not_keep_a_change_from_its_end(cut_short: Sandbox) -> None:
    """Users may be locked out by what a crash left; the journal is history only. Nothing new begins without it."""
    (cut_short.folder / "state" / "journal.sqlite").write_bytes(b"damaged" * 1000)
    ended = cut_short.rotator("rotate")
    assert ended.status == 0, ended.err
    assert "history will have a gap" in ended.err
    assert "under way" not in cut_short.rotator("status").out
    assert cut_short.rotator("rotate", "--now").status == 1


def test_a_damaged_journal_does_not_keep_a_key_from_those_who_wait_for_it(portal: Sandbox) -> None:
    hook = portal.folder / "hook"
    hook.write_text(f"#!/bin/sh\ncat >/dev/null\n[ -e {portal.folder}/mended ]\n")
    hook.chmod(0o755)
    portal.configure(('consumers = "token"', f'consumers = "hook"\nhook = "{hook}"'))
    assert portal.rotator("rotate", "--now").status == 5
    (portal.folder / "mended").touch()
    (portal.folder / "state" / "journal.sqlite").write_bytes(b"damaged" * 1000)
    assert portal.rotator("rotate", "--now").status == 1
    ended = portal.rotator("rotate", "--json")
    assert (ended.status, ended.result["outcome"]) == (0, "delivered"), ended.err
    assert "history will have a gap" in ended.err
    assert portal.rotator("rotate", "--now").status == 1


def test_a_change_that_was_cut_short_is_told_by_whoever_looks(cut_short: Sandbox) -> None:
    portal = cut_short
    shown = portal.rotator("status")
    assert shown.status == 0
    assert "portal: a change is under way (rotate; the server shows " in shown.out
    assert "a change is under way" in portal.rotator("verify").out
    doctor = portal.rotator("doctor", "--json").json["results"]
    (key,) = (row for row in doctor if row["reason"] == "key")
    assert (key["health"], key["hint"]) == ("warning", "finish or undo it: rotator rotate portal")


def test_a_change_that_nothing_finishes_is_not_said_to_be_finished(cut_short: Sandbox) -> None:
    """Where somebody put a certificate of theirs over it, the error alone says what to do."""
    stranger = (cut_short.folder / "stranger.pem").read_text()
    theirs = {**cut_short.virtual_proxy(), "jwtPublicKeyCertificate": stranger}
    cut_short.qrs("PUT", f"/qrs/virtualproxyconfig/{theirs['id']}", theirs)
    shown = cut_short.rotator("status")
    assert shown.status == 4
    assert "a change is under way" in shown.out
    assert "finishes or undoes it" not in shown.out + shown.err
    assert "rotator adopt portal --key FILE" in shown.err


def test_a_refused_login_in_the_middle_of_a_change_names_the_way_out(cut_short: Sandbox) -> None:
    cut_short.fault("status=401@proxy#*")
    found = cut_short.rotator("verify")
    assert found.status == 4
    assert "hint: finish or undo it: rotator rotate portal\n" in found.err


def test_no_token_for_a_virtual_proxy_that_was_deleted_in_the_middle_of_a_change(cut_short: Sandbox) -> None:
    identity = cut_short.virtual_proxy()["id"]
    cut_short.qrs("DELETE", f"/qrs/virtualproxyconfig/{identity}")
    ended = cut_short.rotator("token", "portal", "--user", r"A\b")
    assert (ended.status, ended.out) == (4, "")
    assert "there is no virtual proxy with the prefix 'portal' any more; the keyring has its keys" in ended.err
    assert cut_short.rotator("create-proxy", "--yes").status == 0
    assert cut_short.rotator("token", "portal", "--user", r"A\b").status == 0


@pytest.mark.parametrize("command", ["status", "verify", "rotate --now", "create-proxy --plan"])
def test_a_user_who_sees_nothing_is_not_told_that_it_is_gone(portal: Sandbox, command: str) -> None:
    portal.configure((r"INTERNAL\sa_api", r"INTERNAL\nobody"))
    ended = portal.rotator(*command.split())
    assert ended.status == 1
    assert "QRS shows this user no proxy at all" in ended.err
    assert "create it" not in ended.err


def test_an_older_copy_of_the_keyring_is_told_by_what_reads_keys_alone(portal: Sandbox) -> None:
    """A token of it may still log in, and users wait for it; a private key of it is not given away."""
    shutil.copytree(portal.folder / "keys", portal.folder / "older")
    assert portal.rotator("rotate", "--now").status == 0
    shutil.rmtree(portal.folder / "keys")
    (portal.folder / "older").rename(portal.folder / "keys")
    signed = portal.rotator("token", "portal", "--user", r"CORP\alice")
    assert (signed.status, signed.out.count(".")) == (0, 2)
    assert "rotator: the token may not log in: portal: rotator has changed its keys" in signed.err
    shown = portal.rotator("keys", "export", "portal")
    assert (shown.status, "this may be out of date: portal: rotator has changed" in shown.err) == (0, True)
    private = portal.folder / "private.pem"
    refused = portal.rotator("keys", "export", "portal", "--private", "--output", str(private))
    assert (refused.status, private.exists()) == (4, False)
    assert "rotator recover portal" in refused.err


def lose_sites(sandbox: Sandbox) -> SealedFiles:
    """The item that names the sites, and nothing else."""
    store = SealedFiles(sandbox.folder / "keys", master_key((sandbox.folder / "master.key").read_bytes(), "x"))
    store.delete(registry.ITEM)
    return store


@pytest.mark.parametrize("command", ["due", "token"])
def test_the_item_that_names_the_sites_is_lost_alone(portal: Sandbox, command: str) -> None:
    """What only reads finds the keys by the journal, too."""
    store = lose_sites(portal)
    arguments = ("portal", "--user", r"CORP\alice") if command == "token" else ()
    ended = portal.rotator(command, *arguments)
    assert (ended.status, ended.err) == (1 if command == "due" else 0, "")
    assert store.get(registry.ITEM) is None
    assert portal.rotator("rotate").status == 0
    assert store.get(registry.ITEM) is not None


def test_after_that_the_first_run_is_of_a_virtual_proxy_that_has_no_key_yet(portal: Sandbox) -> None:
    other = '\n[proxy.other]\nsite = "sandbox"\nprefix = "other"\n[proxy.other.rotation]\nwindow = ["any"]\n'
    portal.config.write_text(portal.config.read_text() + other)
    lose_sites(portal)
    assert portal.rotator("create-proxy", "other", "--yes").status == 0
    for name in ("portal", "other"):
        assert portal.rotator("rotate", name, "--now").status == 0


def test_after_that_no_site_takes_the_keys_of_another(portal: Sandbox) -> None:
    portal.configure(("[proxy.portal]", f"{TWIN}[proxy.portal]"))
    lose_sites(portal)
    due = portal.rotator("due", "twin", "--json")
    assert (due.status, due.result["reason"]) == (1, "NoKey")
    portal.rotator("rotate", "twin", "--now")
    listed = portal.rotator("keys", "list", "twin", "--json")
    assert (listed.status, listed.result["keys"]) == (0, [])
    assert portal.rotator("verify", "portal").status == 0
