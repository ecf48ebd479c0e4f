"""rotator init run by root, for an account whose folders it must not follow."""

import os
import pwd

import pytest
from first_configuration import flags, init, target
from sandbox_process import Sandbox


@pytest.mark.parametrize("what", ["master_key", "config", "password"])
def test_root_writes_nothing_into_a_folder_that_belongs_to_somebody_else(site: Sandbox, what: str) -> None:
    """The account could put a link there meanwhile. Where its keyring will be, nothing is tried either."""
    theirs = site.folder.parent / "theirs"
    (theirs / "below").mkdir(parents=True)
    victim = site.folder.parent / "victim"
    victim.mkdir()
    (theirs / "new").symlink_to(victim)
    for path in (theirs, theirs / "below", theirs / "new"):
        os.chown(path, pwd.getpwnam("daemon").pw_uid, -1, follow_symlinks=False)
    before = theirs.stat().st_mtime_ns
    place = {"master_key": theirs / "below", "config": theirs, "password": theirs / "new"}[what]
    changed: dict[str, str | None] = {"keyring_path": str(theirs / "keys")}
    if what == "master_key":
        changed["master_key"] = f"file:{place}/master.key"
    if what == "password":
        changed |= {"cert": None, "key": None, "pfx": str(site.folder / "client.pfx")}
        changed |= {"password": f"file:{place}/pw", "password_from": str(site.folder / "client.pfx.password")}
    config = place / "rotator.toml" if what == "config" else target(site)
    ended = site.rotator("init", *flags(site, **changed), "--account", "daemon", config=config)
    assert (ended.status, f"root does not write to {place}, since {theirs}" in ended.err) == (2, True), ended.err
    assert "belongs to daemon" in ended.err
    assert "sudo -u ACCOUNT rotator init" in ended.err
    assert (theirs.stat().st_mtime_ns, [*victim.iterdir()], [*(theirs / "below").iterdir()]) == (before, [], [])
    assert not target(site).parent.exists()


def test_root_tries_the_keyring_of_another_account_elsewhere_and_its_own_nowhere_else(site: Sandbox) -> None:
    theirs = site.folder.parent / "theirs"
    theirs.mkdir()
    os.chown(theirs, pwd.getpwnam("daemon").pw_uid, -1)
    before = theirs.stat().st_mtime_ns
    said = flags(site, keyring_path=str(theirs / "keys"))
    own = init(site, *said, "--account", "root")
    assert (own.status, f"root keeps no keys in {theirs}/keys, since {theirs} belongs to daemon" in own.err) == (
        1,
        True,
    )
    ended = init(site, *said, "--account", "daemon")
    assert ended.status == 0, ended.err
    assert "keyring: sealed-file stores, gives back and deletes" in ended.err
    assert theirs.stat().st_mtime_ns == before
    assert str(theirs / "keys") in target(site).read_text()
