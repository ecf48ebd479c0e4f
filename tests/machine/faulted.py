"""Each fault of the sandbox at each request of each command: the cases, a run of one, and what is wrong with it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from waiting import eventually

from machine.boundaries import plain
from machine.by_jwt import PREFIX as ACCESS
from machine.commands import STUCK, Command, filled
from machine.faulted_commands import INIT, READING, RELEASING, TAKEN_BACK
from machine.host import HOUR, Machine, Run


KINDS: Final = (
    "reset",
    "lost",
    "late=0.2",
    "status=400",
    "status=401",
    "status=403",
    "status=404",
    "status=500",
    "status=503",
    "slow=0.05",
    "html",
    "truncate",
    "oversize=17",  # MB: QRS may send 16, a proxy 1
    "redirect=https://localhost:1/elsewhere",
    "conflict",
    "refuse=0.2",
)
"""What strikes one request. `refuse` begins while the request is held back, and closes the port it came in by."""
STANDING: Final = ("cold=0.1", STUCK)
"""What stands during the whole run."""
HOLD: Final = 0.1
FAILED: Final = 1
"""The exit status that promises the key that was current."""
LONGEST: Final = 4000
"""Characters that an error may take, hints and all: no page of a server is among them."""


@dataclass(frozen=True)
class Request:
    """One request of a command in its undisturbed run, its number from 1; `after`: a change was sent before it."""

    number: int
    service: str
    host: str
    method: str
    path: str
    after: bool

    @property
    def role(self) -> str:
        """What it is to rotator: look, write, login, logout or count; access is the login that leads to QRS.

        A change that ends the session of the way to QRS makes it log in anew, in the middle.
        """
        if self.service == "qps":
            return "count"
        if "/qrs/" in self.path:
            return "look" if self.method == "GET" else "write"
        if self.path == f"/{ACCESS}/qps/csrftoken":
            return "access again" if self.after else "access"
        return "login" if self.method == "GET" else "logout"


@dataclass(frozen=True)
class Case:
    """A fault at a request, or (None) during the whole run."""

    command: Command
    fault: str
    request: Request | None

    def __str__(self) -> str:
        asked = self.request
        at = f"{asked.role} #{asked.number} {plain(asked.path)}" if asked else "the whole run"
        return f"{self.command}, {self.fault} at {at}"

    @property
    def kind(self) -> str:
        """The fault without its argument, but with the status."""
        return self.fault if self.fault.startswith("status") else self.fault.partition("=")[0]


def _run(machine: Machine, arguments: Sequence[str]) -> Run:
    return machine.run(*filled(machine, arguments))


def cases(machine: Machine, command: Command) -> list[Case]:
    """Every case of a command: its requests are those in the sandbox's log of a run that nothing disturbs."""
    command.prepare(machine)
    arguments = filled(machine, command.arguments)
    machine.sandbox.forget_requests()
    run = machine.run(*arguments)
    assert run.status == command.status, (command.name, run.told)
    machine.no_faults()
    log = machine.sandbox.control("GET", "/requests")
    first = next((number for number, item in enumerate(log, 1) if item["method"] in ("PUT", "POST")), len(log))
    requests = [
        Request(number, item["service"], item["host"], item["method"], item["path"], after=number > first)
        for number, item in enumerate(log, 1)
    ]
    afterwards(machine, command)
    return [
        *(Case(command, kind, request) for request in requests for kind in KINDS),
        *(Case(command, kind, None) for kind in STANDING),
    ]


@dataclass(frozen=True)
class Came:
    """How a case came out: the run, what is wrong with it, and whether the fault struck at all."""

    run: Run
    wrong: list[str]
    struck: bool


def struck(machine: Machine, case: Case) -> Came:
    """Run the command under the fault, and look: at what it says and promises, at the invariant, at what comes after."""
    case.command.prepare(machine)
    arguments = filled(machine, case.command.arguments)
    before, keys = machine.oracle.before(), machine.oracle.keyring().keys
    machine.sandbox.forget_requests()
    if case.request is None:
        if case.kind == "cold":
            machine.sandbox.fault("refuse=0@proxy")  # the ports open anew, and are cold
        machine.sandbox.fault(case.fault)
        run = machine.run(*arguments)
    elif case.kind == "refuse":
        run, reached = _refused(machine, case, arguments, case.request)
    else:
        machine.sandbox.fault(f"{case.fault}@*#{case.request.number}")
        run = machine.run(*arguments)
    if case.request is None:
        reached = True
    elif case.kind != "refuse":  # a request that is cut while it is held back is in no log
        reached = len(machine.sandbox.control("GET", "/requests")) >= case.request.number
    machine.no_faults()
    wrong = said_badly(run, talks=case.command is INIT)
    if case.kind == "oversize" and case.request and case.request.role in ("look", "write"):
        cause_told = run.status == case.command.status or "with more than" in run.out + run.err
        wrong += [] if cause_told else [f"it does not say that the answer is too large: {run.told}"]
    if case.command is INIT and run.status != 0 and (machine.sandbox.folder / "new").exists():
        wrong.append("it leaves something that it began to write")
    wrong += machine.oracle.broken_now()
    if case.command in RELEASING and machine.oracle.keyring().keys.keys() != (keys if run.status else {}).keys():
        wrong.append(f"exit status {run.status}, and of {len(keys)} keys {len(machine.oracle.keyring().keys)} are left")
    if run.status == FAILED and before is not None:
        machine.arrived()
        wrong += machine.oracle.not_kept(before)
    if case.kind == "stuck":
        machine.oracle.restart_proxies()  # nothing else would bring that proxy to take a new link
    wrong += afterwards(machine, case.command)
    if wrong:
        machine.fresh()
    return Came(run, wrong, reached)


def _refused(machine: Machine, case: Case, arguments: Sequence[str], request: Request) -> tuple[Run, bool]:
    """While its request is held back the port closes, which cuts it, and opens again a little later.

    Returns the run, and whether the request was seen to be held back.
    """
    machine.sandbox.fault(f"slow={HOLD}@*#{request.number}")
    ended = machine.begin(*arguments)
    held = False

    def decided() -> bool:
        nonlocal held
        held = machine.sandbox.holds_back() > 0
        return held or not machine.at_work()

    eventually("it is held back", decided)
    machine.sandbox.fault(f"{case.fault}@{request.host if request.service == 'proxy' else request.service}")
    return ended(), held


def afterwards(machine: Machine, command: Command) -> list[str]:
    """The fault is gone: the same command gets there, and so does the next rotation."""
    machine.arrived()
    if command in READING:
        machine.later(2 * HOUR)
        again = _run(machine, command.arguments)
        found, machine.broken = machine.broken, []
        return [
            *found,
            *([f"again, without the fault: {again.told}"] if again.status else []),
            *machine.broken_settled(),
        ]
    if command in RELEASING:
        ended = _run(machine, command.again)
        kept = machine.oracle.keyring().keys
        found = [] if ended.status == 0 and not kept else [f"again, with {len(kept)} keys left: {ended.told}"]
        return [*found, *machine.rotates_within_two_runs(filled(machine, TAKEN_BACK))]
    return machine.rotates_within_two_runs(filled(machine, command.again))


def said_badly(run: Run, *, talks: bool = False) -> list[str]:
    """What is wrong with what a run says: no cause, no remedy, or too much. One that `talks` shows more than messages."""
    wrong = []
    lines = run.err.splitlines()
    if run.status != 0:
        if not any(line.startswith(("rotator: error: ", "rotator: hint: ")) for line in lines):
            wrong.append("it fails without a word")
        elif not any(line.startswith("rotator: hint: ") for line in lines):
            wrong.append(f"it fails without a hint: {run.err}")
    elif any(line.startswith("rotator: error: ") for line in lines):
        wrong.append(f"status 0 with an error: {run.err}")
    wrong += [f"a line of somebody else: {line[:200]}" for line in lines if not (talks or line.startswith("rotator: "))]
    if len(run.err) > LONGEST:
        wrong.append(f"{len(run.err)} characters of errors: {run.err[:300]}")
    secret = re.search(r"eyJ[\w-]{8}|-----BEGIN|<html|Traceback|X-Qlik-User", run.err)
    if secret:
        wrong.append(f"it shows {secret[0]}: {run.err[:300]}")
    if re.search(r"<html|Traceback|PRIVATE KEY", run.out):
        wrong.append(f"it prints {run.out[:300]}")
    return wrong
