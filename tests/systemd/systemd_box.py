"""A machine to install on: a real systemd as process 1, in namespaces, over the file system of this one.

It boots in half a second. What it writes goes to a folder, its disk: a second boot of the same box is a reboot. A box
can begin where another one stopped, so that what takes long is installed once. It shares the network of whoever boots
it, which is why `own_network` gives the test one: a loopback interface, where the sandbox listens as another machine
that no reboot of the box touches.
"""

import ctypes
import errno
import os
import secrets
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from waiting import eventually


BOOT = Path(__file__).with_name("boot.sh")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
OPAQUE = "trusted.overlay.opaque"
GROUPS = Path("/sys/fs/cgroup")
ENTERING = 'for group in $GROUPS; do echo 0 >"$group/cgroup.procs"; done; exec "$@"'


class NoBox(AssertionError):
    """No systemd can be booted here; says why. A test that needs one has failed."""


def _removed(group: Path) -> bool:
    """Remove a control group with all below it; not while a process that was killed is still in one."""
    try:
        for folder, _, _ in os.walk(group, topdown=False):
            Path(folder).rmdir()
    except OSError as error:
        if error.errno == errno.EBUSY:
            return False
        raise
    return True


@dataclass
class Said:
    """How a script in the box ended."""

    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


def _unshare(kind: int, what: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(kind):
        raise NoBox(f"{what} of its own cannot be had here: {os.strerror(ctypes.get_errno())}; root is needed")


def own_mounts(ground: Path) -> None:
    """Mount memory at `ground`, for the disks of boxes, seen by this thread and what it starts alone.

    A disk cannot lie on the file system that is the lowest layer of its box. It all ends with this process.
    """
    _unshare(CLONE_NEWNS, "a view of the file system")
    subprocess.run(("mount", "--make-rprivate", "/"), check=True)
    subprocess.run(("mount", "-t", "tmpfs", "-o", "mode=700", "tmpfs", str(ground)), check=True)


@contextmanager
def own_network() -> Iterator[None]:
    """A network for this thread and what it starts: loopback alone."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _unshare(CLONE_NEWNET, "a network")
        subprocess.run(("ip", "link", "set", "lo", "up"), check=True)
        try:
            yield
        finally:
            ctypes.CDLL(None).setns(before, CLONE_NEWNET)
    finally:
        os.close(before)


class Box:
    """One machine. `folder` keeps its disk; `below` are the disks of stopped boxes that it begins with, newest first."""

    def __init__(self, folder: Path, *below: Path) -> None:
        self._folder = folder
        self._below = below
        self._unshared: subprocess.Popen[bytes] | None = None
        self._first = 0
        self._groups: tuple[Path, ...] = ()
        self.environment: dict[str, str] = {}
        for name in ("disk", "work", "root"):
            (folder / name).mkdir(parents=True)
        if not below:
            self._bare()

    @property
    def disks(self) -> tuple[Path, ...]:
        """What a box that begins where this one stopped is made with."""
        return (self._folder / "disk", *self._below)

    def _bare(self) -> None:
        """The disk of a machine on which nothing was enabled yet, and whose journal outlives a boot."""
        disk = self._folder / "disk"
        units = disk / "etc/systemd/system"
        units.mkdir(parents=True)
        try:
            os.setxattr(units, OPAQUE, b"y")
        except OSError as error:
            raise NoBox(f"{units} cannot be the upper layer of an overlay: {error.strerror}; root is needed") from None
        (disk / "var/log/journal").mkdir(parents=True)

    def boot(self) -> None:
        """Start it, and wait until systemd is up. Raises NoBox telling what its console showed."""
        assert self._unshared is None
        if os.geteuid():
            raise NoBox("booting a systemd needs root")
        lower = ":".join(map(str, (*self._below, "/")))
        places = (str(self._folder / "root"), str(self._folder / "disk"), str(self._folder / "work"), lower)
        kinds = ("--pid", "--mount", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child")
        self._own_groups()
        with (self._folder / "console").open("ab") as console:
            self._unshared = subprocess.Popen(
                ("sh", "-euc", ENTERING, "sh", "unshare", *kinds, "bash", str(BOOT), *places),
                env={**os.environ, "GROUPS": " ".join(map(str, self._groups))},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        try:
            eventually("systemd is up", self._up, 30)
        except AssertionError as error:
            told = (self._folder / "console").read_text(errors="replace")
            raise NoBox(f"no systemd could be booted here: {error}; its console:\n{told}") from None

    def _own_groups(self) -> None:
        """A control group of its own for the box in each hierarchy: two that share one remove each other's units."""
        unified = (GROUPS / "cgroup.controllers").exists()
        hierarchies = (GROUPS,) if unified else (GROUPS / "systemd", GROUPS / "unified")
        self._groups = tuple(place / f"box-{secrets.token_hex(8)}" for place in hierarchies if place.is_dir())
        for group in self._groups:
            try:
                group.mkdir()
            except OSError as error:
                raise NoBox(f"{group} cannot be made: {error.strerror}; root is needed") from None

    def _ended(self) -> None:
        """Leave nothing behind of a box whose first process has ended."""
        self._unshared = None
        for group in self._groups:
            eventually(f"{group} is empty", partial(_removed, group), 30)

    def _up(self) -> bool:
        assert self._unshared is not None
        assert self._unshared.poll() is None, "it ended"
        pid = self._unshared.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children or Path(f"/proc/{children[0]}/exe").readlink().name != "systemd":
            return False
        self._first = int(children[0])
        return self.run("systemctl is-system-running --wait", check=False).out.strip() in {"running", "degraded"}

    def run(self, script: str, *, check: bool = True, stdin: str = "", seconds: float = 120) -> Said:
        """Run a script of bash as root in a login's environment, not in a unit. Fails with what it said."""
        said = self._said(stdin.encode(), seconds, "bash", "-euo", "pipefail", "-c", script)
        if check and said.status:
            journal = self._said(b"", seconds, "journalctl", "-b", "-n", "50", "--no-pager", "-o", "short-monotonic")
            raise AssertionError(f"{script}\n-> {said.status}\n{said.text}\n{journal.text}")
        return said

    def written(self) -> Iterator[bytes]:
        """Everything that is on its disk since it was made, file by file, and in /run but for the credentials."""
        for path in self.disks[0].rglob("*"):
            if path.is_file() and not path.is_symlink():
                yield path.read_bytes()
        looked = "find /run /tmp -path /run/credentials -prune -o -type f -exec cat {} +"
        yield subprocess.run(self._inside("bash", "-c", looked), capture_output=True, timeout=60).stdout

    def dialogue(self, command: str, question: str, answer: str) -> Said:
        """Run a command on a terminal, and answer its question once it is asked."""
        words = self._inside("script", "-qec", command, "/dev/null")
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            seen = b""
            while question.encode() not in seen:
                byte = process.stdout.read(1)
                assert byte, seen.decode()
                seen += byte
            process.stdin.write(answer.encode() + b"\n")
            process.stdin.flush()
            seen += process.stdout.read()
            return Said(process.wait(60), seen.decode(), "")

    def _said(self, stdin: bytes, seconds: float, *command: str) -> Said:
        ended = subprocess.run(self._inside(*command), input=stdin, capture_output=True, timeout=seconds)
        return Said(ended.returncode, ended.stdout.decode(errors="replace"), ended.stderr.decode(errors="replace"))

    def _inside(self, *command: str) -> tuple[str, ...]:
        enter = ("nsenter", "-t", str(self._first), "-m", "-u", "-i", "-p", "-C", "-r", "-w")
        login = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "SYSTEMD_PAGER": "cat", **self.environment}
        set_to = (f"{name}={value}" for name, value in login.items())
        return (*enter, "env", "-i", *set_to, "sh", "-c", 'cd /root && exec "$@"', "sh", *command)

    def until(self, condition: str, seconds: float = 60) -> None:
        """Wait until a command in the box succeeds; fails with the end of the journal."""
        try:
            eventually(condition, lambda: self.run(condition, check=False).status == 0, seconds)
        except AssertionError:
            self.run(condition)

    def write(self, path: str, text: str, *, mode: str = "0644", owner: str = "root:root") -> None:
        """Put a file in place."""
        user, group = owner.split(":")
        self.run(f"install -D -m {mode} -o {user} -g {group} /dev/stdin {shlex.quote(path)}", stdin=text)

    def read(self, path: str) -> str:
        """What a file of the box holds."""
        return self.run(f"cat {shlex.quote(path)}").out

    def show(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.run(f"systemctl show -P {name} {shlex.quote(unit)}").out.strip()

    def journal(self, unit: str) -> str:
        """What a unit and systemd said of it, in every boot."""
        return self.run(f"journalctl --sync; journalctl -o cat --no-pager -u {shlex.quote(unit)}").out

    def shut_down(self) -> None:
        """Stop every unit, sync, end."""
        self.run("systemctl poweroff", check=False)
        assert self._unshared is not None
        self._unshared.wait(60)
        self._ended()

    def cut_power(self) -> None:
        """End it at once."""
        if self._unshared is not None:
            self._unshared.send_signal(signal.SIGKILL)
            self._unshared.wait(30)
            self._ended()

    def reboot(self) -> None:
        """Shut it down and boot it again, with the same disk."""
        self.shut_down()
        self.boot()
