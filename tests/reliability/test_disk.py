"""Full and read-only disks under the keyring, the journal and the locks: nothing is lost, and an undo is not stopped."""

import resource
from collections.abc import Iterator
from typing import Self

import pytest
from old_keys import let_retired_keys_age
from sampling import record, sample
from sandbox_process import ROTATOR, Ended, Sandbox
from small_disk import SmallDisk, largest, limited, mountable, unwritable
from witness import assert_one_clear_error, current_key, held, logs_in, puts, run


KEYRING, STATE, LOCKS = "keys", "state", "state/locks"
FULL = ("room", "full", "No space left", "no space is left", "too large", "disk I/O error")
READ_ONLY = ("Read-only", "read-only", "readonly", "Permission denied", "unable to open")


@pytest.fixture(scope="module")
def real() -> bool:
    """Whether this account may mount: if not, limits and modes stand in."""
    return mountable()


class Disk:
    """A folder of the sandbox on a disk that can fail, by whatever means this account has."""

    def __init__(self, sandbox: Sandbox, folder: str, *, real: bool) -> None:
        self.sandbox = sandbox
        self.folder = sandbox.folder / folder
        self._disk = SmallDisk(self.folder, pages=2048, inodes=1024) if real else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._disk is not None:
            self._disk.__exit__()

    @property
    def command(self) -> tuple[str, ...]:
        inside = self._disk.inside if self._disk is not None else ()
        return (*inside, *ROTATOR, "--config", str(self.sandbox.config))

    def run(self, *arguments: str) -> Ended:
        return run(self.sandbox, *arguments, prefix=self._disk.inside if self._disk is not None else ())

    def run_with(self, case: tuple[str, int], *arguments: str) -> Ended:
        """Run while there are so many pages, or so many files, left; without a disk of its own: so many bytes a file."""
        kind, left = case
        if self._disk is None:
            size = left * max(largest(self.folder) // 8, 64) if kind == "pages" else 0
            return run(self.sandbox, *arguments, prefix=limited(size))
        if kind == "pages":
            self._disk.fill(left)
        else:
            self._disk.use_up(left)
        ended = self.run(*arguments)
        self._disk.make_room()
        return ended

    def run_filled_at(self, request: str, *arguments: str) -> Ended:
        """Run, and fill the disk while the sandbox holds back a request."""
        disk = self._disk
        if disk is not None:
            ended = held(self.sandbox, request, lambda _: disk.fill(), (*self.command, *arguments))
            disk.make_room()
            return ended
        # Items of the keyring are below this size, and the pages of the journal beyond it.
        size = 4096 if self.folder.name == STATE else 0

        def limit(pid: int) -> None:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, size))

        return held(self.sandbox, request, limit, (*self.command, *arguments))

    def run_read_only(self, *arguments: str) -> Ended:
        if self._disk is not None:
            self._disk.forbid_writing()
            ended = self.run(*arguments)
            self._disk.make_room()
            return ended
        with unwritable(self.folder) as prefix:
            return run(self.sandbox, *arguments, prefix=prefix)


@pytest.fixture
def key(portal: Sandbox) -> bytes:
    """The key that is current before anything goes wrong."""
    return current_key(portal)


def assert_kept(disk: Disk, ended: Ended, key: bytes, *causes: str) -> None:
    """What a failed run must have left: one clear error, and the old key logs in."""
    assert ended.status == 1, ended.err
    assert_one_clear_error(ended, *causes)
    assert logs_in(disk.sandbox, key)


def assert_mended(disk: Disk) -> None:
    """Once the fault is gone a rotation completes, within two runs."""
    again = disk.run("rotate", "--now")
    if again.status == 1:
        again = disk.run("rotate", "--now")
    assert again.status == 0, again.err
    verified = disk.run("verify")
    assert verified.status == 0, verified.out + verified.err


def key_of(disk: Disk) -> bytes:
    """The current key, as the keyring on that disk has it."""
    file = disk.sandbox.folder / "exported.pem"
    ended = disk.run("keys", "export", "portal", "--private", "--output", str(file))
    assert ended.status == 0, ended.err
    found = file.read_bytes()
    file.unlink()
    return found


FILLED = (("rotate", "--now"), ("rollback", "portal"))
FILLS = [
    (command, (kind, left))
    for command in FILLED
    for kind, most in (("pages", 24), ("inodes", 8))
    for left in range(most)
]


@pytest.mark.parametrize("place", [KEYRING, STATE])
@pytest.mark.parametrize("mounted", [True, False], ids=["own disk", "limits"])
def test_a_disk_that_fills_up_at_any_write_loses_nothing(
    pytestconfig: pytest.Config, portal: Sandbox, real: bool, place: str, mounted: bool
) -> None:
    assert portal.rotator("rotate", "--now").status == 0
    failed = 0
    cases = sample(pytestconfig, f"fills {place} {mounted}", FILLS, 3)
    with Disk(portal, place, real=real and mounted) as disk:
        key = key_of(disk)
        for command, case in cases:
            portal.forget_requests()
            ended = disk.run_with(case, *command)
            if ended.status != 0:
                failed += 1
                assert_kept(disk, ended, key, *FULL)
            assert_mended(disk)
            key = key_of(disk)
    record("full disks", f"{place}-{mounted}", cases=len(cases), stopped_with_one_error=failed)


PRUNE = ("keys", "prune", "--keep", "0")
COMMANDS = (("rotate", "--now"), ("create-proxy", "--yes"), ("rollback", "portal"), ("recover", "portal"), PRUNE)
BEGINNINGS = [
    (place, command, kind)
    for place in (KEYRING, STATE, LOCKS)
    for command in COMMANDS
    for kind in ("no room", "no files", "read-only")
]


def test_nothing_is_begun_on_a_disk_that_takes_nothing(
    pytestconfig: pytest.Config, portal: Sandbox, real: bool
) -> None:
    assert portal.rotator("rotate", "--now").status == 0
    failed = 0
    cases = sample(pytestconfig, "beginnings", BEGINNINGS, 5)
    for place, command, kind in cases:
        if command == PRUNE:
            let_retired_keys_age(portal)
        key = current_key(portal)
        portal.forget_requests()
        with Disk(portal, place, real=real) as disk:
            if kind == "read-only":
                ended = disk.run_read_only(*command)
            else:
                ended = disk.run_with(("pages" if kind == "no room" else "inodes", 0), *command)
            where = f"{place}, {command}, {kind}: {ended}"
            if ended.status == 0:
                # Nothing had to be written, or only who holds the lock, which is not worth an outage; or a key that goes
                # makes the room that it takes to say so.
                room = command == PRUNE and place == KEYRING and kind != "read-only"
                assert command[0] in ("create-proxy", "recover") or place == LOCKS or room, where
            elif not real and ended.status == 78:
                # Without a disk of its own, what may not be written is a matter of permissions, and so of configuration.
                assert (place, kind) in ((STATE, "read-only"), (LOCKS, "read-only")), where
                assert_one_clear_error(ended, *READ_ONLY)
            else:
                failed += 1
                assert_kept(disk, ended, key, *FULL, *READ_ONLY)
                assert puts(portal) == 0, where
        assert portal.rotator("rotate", "--now").status == 0, where
    record("full and read-only disks", "beginnings", cases=len(cases), stopped_with_one_error=failed)


@pytest.mark.parametrize("place", [KEYRING, STATE])
def test_a_disk_that_fills_between_the_put_and_its_test_does_not_keep_an_undo_from_happening(
    portal: Sandbox, key: bytes, real: bool, place: str
) -> None:
    with Disk(portal, place, real=real) as disk:
        portal.fault("stuck=rim1.localhost")
        ended = disk.run_filled_at("qrs:PUT", "rotate", "--now", "--json")
        assert ended.json["results"][0]["reason"] == "Undone", ended.out
        assert ended.status == 1
        assert logs_in(portal, key)
        portal.control("DELETE", "/faults")
        assert_mended(disk)


def test_a_new_key_that_the_keyring_cannot_note_as_current_is_undone(portal: Sandbox, key: bytes, real: bool) -> None:
    """The new key logs in, but its promotion finds no room: consumers know the old one, so that one comes back."""
    with Disk(portal, KEYRING, real=real) as disk:
        ended = disk.run_filled_at("qrs:PUT", "rotate", "--now", "--json")
        assert (ended.status, ended.json["results"][0]["reason"]) == (1, "Undone"), ended.out
        assert logs_in(portal, key)
        portal.control("DELETE", "/faults")
        assert_mended(disk)


def test_a_journal_that_fills_in_the_middle_loses_history_and_nothing_else(
    portal: Sandbox, key: bytes, real: bool
) -> None:
    with Disk(portal, STATE, real=real) as disk:
        ended = disk.run_filled_at("qrs:PUT", "rotate", "--now")
        assert ended.status == 0, ended.err
        assert "history will have a gap" in ended.err
        assert not logs_in(portal, key)
        portal.control("DELETE", "/faults")
        told = disk.run("history", "portal")
        assert told.status == 0, told.err
        assert_mended(disk)


def test_a_full_state_directory_does_not_keep_a_crashed_rotation_from_its_undo(
    portal: Sandbox, key: bytes, real: bool
) -> None:
    """A new key that does not log in everywhere was left by a crash, and then the disk is full."""
    with Disk(portal, STATE, real=real) as disk:
        portal.fault("stuck=rim1.localhost")
        crash_in_the_test(disk)
        ended = disk.run_with(("pages", 0), "rotate", "--now", "--json")
        assert (ended.status, ended.json["results"][0]["reason"]) == (1, "Undone"), ended.out
        assert "history will have a gap" in ended.err
        assert logs_in(portal, key)
        portal.control("DELETE", "/faults")
        assert_mended(disk)


def crash_in_the_test(disk: Disk) -> None:
    """Leave a rotation with the new certificate on the server, killed before its first test login ends."""
    import signal
    import subprocess

    first = len(disk.sandbox.ready["proxies"]) * 3  # the logins with the current key: csrftoken, user, logout
    disk.sandbox.fault(f"slow=1.5@proxy#{first + 1}")
    process = subprocess.Popen(
        (*disk.command, "rotate", "--now"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    disk.sandbox.wait_held(process)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert puts(disk.sandbox) > 0


@pytest.fixture(autouse=True)
def sessions_ended(sandbox: Sandbox) -> Iterator[None]:
    """The oracle's own logins are sessions of one user: they are ended so that none is refused as the sixth."""
    yield
    sandbox.control("DELETE", "/sessions")


@pytest.mark.parametrize("place", [KEYRING, STATE])
def test_the_first_use_of_a_full_disk_leaves_nothing_half_made(sandbox: Sandbox, real: bool, place: str) -> None:
    (sandbox.folder / place).mkdir(mode=0o700, exist_ok=True)
    with Disk(sandbox, place, real=real) as disk:
        for left in (0, 1, 2):
            ended = disk.run_with(("pages", left), "create-proxy", "--yes")
            assert ended.status == 1, ended.err
            assert_one_clear_error(ended, *FULL)
        ended = disk.run("create-proxy", "--yes")
        assert ended.status == 0, ended.err
        assert disk.run("verify").status == 0
