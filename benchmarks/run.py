"""What rotator costs, as ratios to what a user would use instead: a Markdown table; exit 1 where a goal is missed.

python benchmarks/run.py [PAIRS]
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


HERE = Path(__file__).parent
ROTATOR = str(Path(sys.executable).with_name("rotator"))
KEY_BITS = 3072
PAIRS = 20
STARTS = 20
LOOK_EVERY = 600.0
GOALS = {"rotation": 1.3, "version": 3.0, "due": 20.0, "memory": 80.0, "idle": 57.0, "core": 0.1}
"""Ratios to the other; memory in MiB (57 are 60 MB); the daemon's share of a core in per cent, looks included."""
IDLE = 60.0
"""Seconds for which the daemon is watched while nothing is due."""


@dataclass(frozen=True)
class Run:
    """One process: wall time in seconds, peak memory in MiB."""

    seconds: float
    memory: float


def timed(command: Sequence[str], environment: dict[str, str] | None = None, expected: int = 0) -> Run:
    """Run a command to its end, as a whole process."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env={**os.environ, **(environment or {})}
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != expected:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return Run(seconds, usage.ru_maxrss / 1024)


def control(folder: Path, method: str, path: str) -> Any:  # noqa: ANN401 - JSON
    """Ask the sandbox."""
    told = json.loads((folder / "control.json").read_text())
    request = urllib.request.Request(
        f"http://127.0.0.1:{told['port']}{path}", method=method, headers={"Authorization": f"Bearer {told['token']}"}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        return json.load(answer)


def start_up(command: Sequence[str], expected: int, environment: dict[str, str]) -> tuple[float, float]:
    """Median seconds of a command and of `python -c pass`, in alternation."""
    pairs = [
        (timed(command, environment, expected).seconds, timed((sys.executable, "-c", "pass")).seconds)
        for _ in range(STARTS)
    ]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


@dataclass(frozen=True)
class Idle:
    """`rotator daemon` while nothing is due: memory in MiB, and its shares of a core: waiting, and looking."""

    memory: float
    waiting: float
    looking: float


def idle(environment: dict[str, str]) -> Idle:
    """The daemon watched for `IDLE` seconds, after the look that it begins with; it then looks every ten minutes."""
    command = (ROTATOR, "daemon")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}) as daemon:
        try:
            line = daemon.stderr.readline() if daemon.stderr else ""
            if "the daemon runs" not in line:
                sys.exit(f"rotator daemon said {line!r}")
            before, look = processor(daemon.pid)
            time.sleep(IDLE)
            after, _ = processor(daemon.pid)
            status = Path(f"/proc/{daemon.pid}/status").read_text()
        finally:
            daemon.terminate()
    memory = int(status.split("VmRSS:")[1].split()[0]) / 1024
    return Idle(memory, (after - before) / IDLE, look / LOOK_EVERY)


def processor(pid: int) -> tuple[float, float]:
    """Seconds of processor that a process has used, and those of its children that have ended."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    own = sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return own, (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def measured(ready: dict[str, Any], folder: Path, pairs: int) -> int:
    """The rows against a running sandbox; rotator and the script have a virtual proxy each."""
    config = Path(ready["config"])
    text = config.read_text().replace('every = "30d"', f'every = "30d"\nkey_bits = {KEY_BITS}')
    config.write_text(
        f'{text}\n[proxy.script]\nsite = "sandbox"\nprefix = "script"\n[proxy.script.rotation]\nwindow = ["any"]\n'
    )
    environment = {"ROTATOR_CONFIG": str(config)}
    timed((ROTATOR, "create-proxy", "--yes"), environment)
    rotate = (ROTATOR, "rotate", "portal", "--now", "--yes")
    proxy = ready["proxies"][0]["url"]
    script = (str(HERE / "baseline.sh"), str(folder), ready["qrs"], proxy, "script", str(KEY_BITS))
    timed(script)
    control(folder, "DELETE", "/requests")
    timed(rotate, environment)
    requests = len(control(folder, "GET", "/requests"))
    runs = [(timed(rotate, environment), timed(script)) for _ in range(pairs)]
    ours, theirs = (statistics.median(run[side].seconds for run in runs) for side in (0, 1))
    memory = max(run[0].memory for run in runs)
    version, base = start_up((ROTATOR, "--version"), 0, environment)
    due, base_due = start_up((ROTATOR, "due", "portal"), 1, environment)
    daemon = idle(environment)
    core = (daemon.waiting + daemon.looking) * 100
    figures = {
        "rotation": ours / theirs,
        "version": version / base,
        "due": due / base_due,
        "memory": memory,
        "idle": daemon.memory,
        "core": core,
    }
    missed = {name for name, goal in GOALS.items() if figures[name] > goal}
    rows = {
        "rotation": f"`rotate --now` over `baseline.sh`, {KEY_BITS} bits, {pairs} pairs | {ours:.2f} s / {theirs:.2f} s",
        "version": f"`rotator --version` over `python -c pass` | {version * 1e3:.0f} ms / {base * 1e3:.0f} ms",
        "due": f"`rotator due` over `python -c pass` | {due * 1e3:.0f} ms / {base_due * 1e3:.0f} ms",
        "memory": f"peak memory of a rotation | {memory:.0f} MiB",
        "idle": f"`rotator daemon`, idle for {IDLE:.0f} s: memory | {daemon.memory:.0f} MiB",
        "core": f"the same: per cent of a core, a look every ten minutes included | {daemon.waiting:.3%} + {daemon.looking:.3%}",
    }
    print("| what | median | figure | goal |\n|---|---|---|---|")
    for name, told in rows.items():
        print(f"| {told} | {figures[name]:.3g} | {GOALS[name]:g}{' MISSED' if name in missed else ''} |")
    print(f"| requests of a rotation on one proxy | {requests} | | |")
    return 1 if missed else 0


def main() -> int:
    """Start a sandbox without delays, measure, stop it."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
    folder = Path(tempfile.mkdtemp(prefix="rotator-bench-"))
    ports = ("--qrs-port", "0", "--qps-port", "0", "--proxy-port", "0", "--restart-delay", "0")
    command = (ROTATOR, "sandbox", "--dir", str(folder), *ports)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sandbox:
        try:
            line = sandbox.stdout.readline() if sandbox.stdout else ""
            return measured(json.loads(line), folder, pairs)
        finally:
            sandbox.terminate()
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
