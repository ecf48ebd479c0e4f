"""A process in the middle of its work gives nothing away: no core file, no look into its memory, from the first key on.

Each test has a canary: the same without the hardening, in which the search (`tests/sweep.py`) finds the key.
"""

import glob
import json
import os
import re
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import sweep
from sandbox_process import ROTATOR, Sandbox
from witness import current_key

from rotator.keys import PrivateKey


ORDINARY = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--") if os.geteuid() == 0 else ()
"""What a command begins with to run as root would without its powers: one account like any other."""
UNHARDENED = (
    sys.executable,
    "-c",
    "import rotator.hardening as h, sys; h.undumpable = lambda: None; from rotator.__main__ import main; main()",
)
ATTACKER = """
import ctypes, subprocess, sys
target = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(target.pid, flush=True)
sys.stdin.readline()
told = {"mem": "read", "attach": "attached", "peek": "read"}
try:
    with open(f"/proc/{target.pid}/maps") as maps, open(f"/proc/{target.pid}/mem", "rb") as memory:
        for line in maps:
            span, modes = line.split()[:2]
            if "rw" in modes:
                start, end = (int(number, 16) for number in span.split("-"))
                try:
                    memory.seek(start)
                    sys.stdout.buffer.write(memory.read(end - start))
                except (OSError, ValueError, OverflowError):
                    continue
except OSError as error:
    told["mem"] = "refused"
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(16, target.pid, 0, 0) != 0:
    told["attach"] = "refused"
class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
buffer = ctypes.create_string_buffer(8)
here, there = Vector(ctypes.addressof(buffer), 8), Vector(ctypes.addressof(buffer), 8)
if libc.process_vm_readv(target.pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) < 0:
    told["peek"] = "refused" if ctypes.get_errno() == 1 else "read"
sys.stdout.buffer.flush()
print(told, file=sys.stderr, flush=True)
target.kill()
"""


@contextmanager
def in_the_middle(sandbox: Sandbox, command: tuple[str, ...], folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A rotation that waits for the answer to its first test login, its current key in memory; `folder` is its own."""
    sandbox.control("DELETE", "/faults")
    sandbox.fault("slow=30@proxy#1")
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_unlimited,  # noqa: PLW1509 - no thread is running here
    )
    try:
        sandbox.wait_held(process)
        yield process
    finally:
        process.kill()
        process.communicate()
        sandbox.control("DELETE", "/faults")


def _unlimited() -> None:
    """A core file of any size, as far as this account may, also where the tests run in the background of a shell."""
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    with suppress(ValueError, OSError):  # which takes a power that root may lack
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        return
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def numbers_of(sandbox: Sandbox) -> dict[str, frozenset[bytes]]:
    """What to look for of the current key in hundreds of megabytes: the beginnings of its numbers are enough."""
    return sweep.of_key(PrivateKey.from_file_bytes(current_key(sandbox)), pieces=2)


def rotation(sandbox: Sandbox, *, hardened: bool) -> tuple[str, ...]:
    program = ROTATOR if hardened else UNHARDENED
    return (*program, "--config", str(sandbox.config), "rotate", "--now")


def killed(process: "subprocess.Popen[bytes]", number: int) -> bool:
    """Whether a process that this signal ends leaves a core, wherever the kernel is told to put it."""
    process.send_signal(number)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -number
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == number
    return os.WCOREDUMP(status)


def core_files(pattern: str, folder: Path) -> dict[Path, int]:
    """The core files that are there under a `kernel.core_pattern`, and when each was written; `folder` is the process's.

    Fails where the kernel hands them to a program: what that does with them is not known here.
    """
    if pattern.startswith("|"):
        pytest.fail(
            f"kernel.core_pattern is {pattern!r}: a program takes the core files, so the search for keys in one has no "
            "canary; run this test where it is a file: sysctl kernel.core_pattern=core"
        )
    names = (glob.escape(part) if index % 2 == 0 else "*" for index, part in enumerate(re.split(r"(%.)", pattern)))
    # Without %p the process's number may follow all the same: kernel.core_uses_pid.
    root = Path("/") if pattern.startswith("/") else folder
    found = root.glob(re.sub(r"\*+", "*", "".join(names).lstrip("/") + "*"))
    return {path: path.stat().st_mtime_ns for path in found if path.is_file()}


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGQUIT])
def test_a_process_killed_in_the_middle_leaves_no_core_file(portal: Sandbox, tmp_path: Path, number: int) -> None:
    needles = numbers_of(portal)
    folder = tmp_path / "hardened"
    folder.mkdir()
    with in_the_middle(portal, rotation(portal, hardened=True), folder) as process:
        # What is swept here is worth it: the key is in that memory now, as those see who may look into every process.
        if sweep.may(sweep.SYS_PTRACE):
            assert sweep.hits({"memory": memory_of(process.pid)}, needles, tokens=False)
        assert not killed(process, number)
    assert list(folder.iterdir()) == []
    # What the killed process left of its state, the journal not yet folded into its file.
    left = sweep.files(portal.folder, "client", "server", "stranger")
    assert "state/journal.sqlite-wal" in left
    assert sweep.hits(left, needles) == []


def test_without_the_hardening_a_core_file_gives_the_key_away(portal: Sandbox, tmp_path: Path) -> None:
    """The canary of the test above: where core files are possible at all, the search finds the key in one."""
    needles = numbers_of(portal)
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    before = core_files(pattern, tmp_path)
    with in_the_middle(portal, rotation(portal, hardened=False), tmp_path) as process:
        possible = resource.prlimit(process.pid, resource.RLIMIT_CORE)[1] != 0
        dumped = killed(process, signal.SIGABRT)
    assert dumped or not possible
    if possible:
        (core,) = (path for path, written in core_files(pattern, tmp_path).items() if before.get(path) != written)
        try:
            assert sweep.hits({"core": core.read_bytes()}, needles, tokens=False)
        finally:
            core.unlink()


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("core", "core"),
        ("core", "core.4711"),
        ("core.%p", "core.4711"),
        ("cores/%e-%p-100%%", "cores/python-4711-100%"),
        ("{}/var/core.%E.%t", "var/core.!usr!bin!python.1700000000"),
        ("{}/[x]/%h", "[x]/host"),
    ],
)
def test_a_core_file_is_found_wherever_the_kernel_puts_it(tmp_path: Path, pattern: str, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    folder = tmp_path if not pattern.startswith("{}") else tmp_path / "elsewhere"
    assert [*core_files(pattern.format(tmp_path), folder)] == [path]
    path.rename(tmp_path / "else")
    assert core_files(pattern.format(tmp_path), folder) == {}


def test_a_program_that_takes_core_files_is_no_reason_to_pass() -> None:
    with pytest.raises(pytest.fail.Exception, match="sysctl kernel"):
        core_files("|/usr/share/apport/apport -p%p", Path("/nowhere"))


def memory_of(pid: int) -> bytes:
    """The writable memory of a process, as root may read it."""
    found = []
    with Path(f"/proc/{pid}/mem").open("rb") as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, modes = line.split()[:2]
            start, end = (int(number, 16) for number in span.split("-"))
            if "rw" in modes:
                memory.seek(start)
                try:
                    found.append(memory.read(end - start))
                except OSError:
                    continue
    return b"".join(found)


def attacked(sandbox: Sandbox, *, hardened: bool) -> tuple[str, bytes]:
    """What another process of the same account gets of a rotation in the middle: even its parent, which may the most."""
    sandbox.control("DELETE", "/faults")
    sandbox.fault("slow=30@proxy#1")
    before = sandbox.holds_back()
    attacker = subprocess.Popen(
        (*ORDINARY, sys.executable, "-c", ATTACKER, *rotation(sandbox, hardened=hardened)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert attacker.stdout is not None
    assert int(attacker.stdout.readline()) > 0
    sandbox.wait_held(attacker, beyond=before)
    out, err = attacker.communicate(b"now\n", timeout=120)
    return err.decode(), out


def test_no_other_process_of_the_account_looks_into_its_memory(portal: Sandbox) -> None:
    needles = numbers_of(portal)
    told, seen = attacked(portal, hardened=True)
    assert told.strip() == str({"mem": "refused", "attach": "refused", "peek": "refused"})
    assert sweep.hits({"memory": seen}, needles) == []


def test_without_the_hardening_another_process_of_the_account_reads_the_key(portal: Sandbox) -> None:
    """The canary of the test above."""
    needles = numbers_of(portal)
    told, seen = attacked(portal, hardened=False)
    assert "'mem': 'read'" in told
    assert "'attach': 'attached'" in told
    assert sweep.hits({"memory": seen}, needles, tokens=False)


ORDER = """
import ctypes, json, os, runpy, sys
folder, how = sys.argv[1:3]
sys.argv = ["rotator", *sys.argv[3:]]
libc = ctypes.CDLL(None)
early = []
def hook(event, arguments):
    name = str(arguments[0]) if arguments else ""
    loads = event == "import" and name.split(".")[0] in ("cryptography", "keyring", "jwt", "requests", "typer")
    opens = event == "open" and name.startswith(folder)
    if (loads or opens or event == "subprocess.Popen") and libc.prctl(3, 0, 0, 0, 0) != 0:
        early.append(f"{event} {name}")
sys.addaudithook(hook)
def end():
    import threading
    seen = []
    thread = threading.Thread(target=lambda: seen.append(libc.prctl(3, 0, 0, 0, 0)))
    thread.start(); thread.join()
    import resource
    print(json.dumps({"early": early, "thread": seen[0], "core": resource.getrlimit(resource.RLIMIT_CORE)}), file=sys.stderr)
try:
    if how == "module":
        runpy.run_module("rotator", run_name="__main__", alter_sys=True)
    elif how == "script":
        runpy.run_path(os.path.join(os.path.dirname(sys.executable), "rotator"), run_name="__main__")
    else:
        from importlib.metadata import entry_points
        (entry,) = entry_points(group="console_scripts", name="rotator")
        entry.load()()
finally:
    end()
"""


@pytest.mark.parametrize("how", ["module", "script", "entry point"])
def test_the_process_is_undumpable_before_the_first_key_is_read(portal: Sandbox, how: str) -> None:
    """However it is started: not a file of the sandbox is opened, no library for keys loaded, before that; nor a child run."""
    for command in (("status",), ("token", "portal", "--user", "A\\b"), ("rotate", "--now")):
        ended = subprocess.run(
            (sys.executable, "-c", ORDER, str(portal.folder), how, "--config", str(portal.config), *command),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ended.returncode == 0, ended.stderr
        told = json.loads(ended.stderr.splitlines()[-1])
        assert told == {"early": [], "thread": 0, "core": [0, 0]}, command


def test_a_child_by_the_same_entry_point_is_undumpable_too() -> None:
    """An exec makes a process dumpable again: whoever starts rotator as a child starts the entry point, which sees to it."""
    code = textwrap.dedent(
        """
        import ctypes, subprocess, sys
        from rotator.hardening import undumpable
        undumpable()
        ask = "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
        main = "import sys; sys.argv = ['rotator', 'due', '--help']; from rotator.__main__ import main"
        for child in (ask, f"{main}\\ntry: main()\\nexcept SystemExit: pass\\n{ask}"):
            print(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stdout.split()[-1])
        """
    )
    ended = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, timeout=60)
    assert ended.stdout.split() == ["1", "0"], ended.stderr
