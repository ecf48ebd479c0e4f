"""Each fault of the sandbox at each request of each command: exit status, message, invariant, and what comes after.

The requests are those of the sandbox's own log of an undisturbed run. What exit status a fault may end in stands in a
table here, by what the request is to rotator; what holds for all of them is in `machine.faulted`.
"""

from collections.abc import Iterator
from typing import Final

import pytest
from machine.by_jwt import JwtMachine
from machine.commands import Command
from machine.crashes import enough
from machine.faulted import Case, cases, struck
from machine.faulted_commands import BY_JWT, FAULTED, SILENT
from machine.host import Machine, running
from sampling import record, sample


SAMPLE = 2
"""Cases of each command in a run that does not soak."""

CUT: Final = ("reset", "lost", "late")
SLOW: Final = ("slow", "cold")
SENSELESS: Final = ("status=500", "status=503", "html", "truncate", "oversize")
"""Answers after which nobody knows what was done: asked again where a change is under way."""
NO: Final = ("status=400", "status=401", "status=403", "status=404", "redirect", "conflict")
DONE, FAILED, PERSON = 0, 1, 4
EITHER: Final = {DONE, FAILED}
FAILING: Final = {FAILED, PERSON}
ANY: Final = {DONE, FAILED, PERSON}


def table(**statuses: set[int]) -> dict[str, set[int]]:
    """Exit statuses by fault, from the statuses by group; a group in capitals, a single fault by its name."""
    groups = {"CUT": CUT, "SLOW": SLOW, "SENSELESS": SENSELESS, "NO": NO}
    found: dict[str, set[int]] = {}
    for name, allowed in statuses.items():
        for kind in groups.get(name, (name.replace("_", "="),)):
            found[kind] = allowed
    return found


# A GET whose connection is cut is sent once more; while a proxy is down for longer, that fails too.
LOOKING: Final = table(CUT={DONE}, SLOW={DONE}, refuse=EITHER, SENSELESS={FAILED}, NO={FAILED})
# Some look only for the sessions that would be cut, or ask what the user may do: that is then not known, and said.
LOOKING_OR_COUNTING: Final = table(CUT={DONE}, SLOW={DONE}, refuse=EITHER, SENSELESS=EITHER, NO=EITHER)
# After a change the server is asked until it gives an answer that makes sense; a refusal is one, and leaves unknown
# whether the change is there.
LOOKING_AFTER: Final = table(CUT={DONE}, SLOW={DONE}, refuse=ANY, SENSELESS=ANY, NO=ANY)
WRITING: Final = table(CUT={DONE}, SLOW={DONE}, refuse=ANY, SENSELESS={DONE}, NO={FAILED}, conflict={DONE})
# A POST is not made again: where it was not done, the next run does it.
CREATING: Final = table(CUT=EITHER, SLOW={DONE}, refuse=EITHER, SENSELESS=EITHER, NO={FAILED})
# Of a login that is made once, only a 404 to csrftoken says nothing: older releases have none.
LOGGING_IN: Final = table(CUT={DONE}, SLOW={DONE}, refuse=EITHER, SENSELESS={FAILED}, NO={FAILED}, status_404=EITHER)
# One that is made until it succeeds.
TESTING: Final = table(CUT={DONE}, SLOW={DONE}, refuse=EITHER, SENSELESS={DONE}, NO={DONE})
# One that is made once before a change, and until it succeeds after it.
BOTH: Final = table(CUT={DONE}, SLOW={DONE}, refuse=EITHER, SENSELESS=EITHER, NO=EITHER)
# A rotation that fails in any case; what refuses the way back too is for a person.
UNDONE: Final = table(CUT={FAILED}, SLOW={FAILED}, refuse={FAILED}, SENSELESS={FAILED}, NO=FAILING)
# The way back of an earlier run, which a look comes before.
RETURNING: Final = table(CUT={DONE}, SLOW={DONE}, refuse=EITHER, SENSELESS=EITHER, NO=ANY)
# A session that is not let in any more is opened anew, once; where it was not opened at all, each request has the token.
WRITING_BY_JWT: Final = {**WRITING, "status=401": {DONE}, "status=403": EITHER}
# A token that is refused is followed by one of the key that the keyring has by then.
OPENING: Final = table(
    CUT={DONE},
    SLOW={DONE},
    refuse=EITHER,
    SENSELESS=EITHER,
    NO={FAILED},
    status_401={DONE},
    status_404={DONE},
    html={DONE},
)
OPENING_AGAIN: Final = {**LOOKING_AFTER, "status=401": {DONE}, "status=404": {DONE}, "html": {DONE}}
WHATEVER: Final = table(CUT={DONE}, SLOW={DONE}, refuse=EITHER, SENSELESS={DONE}, NO={DONE})

PROMISED: Final[dict[str, dict[str, dict[str, set[int]]]]] = {
    "create-proxy --plan": {"look": LOOKING},
    "create-proxy (as desired)": {"look": LOOKING, "login": TESTING},
    "rotate --dry-run": {"look": LOOKING_OR_COUNTING, "login": LOGGING_IN},
    # That the current key is refused is for a person; of the others it is what is wanted.
    "verify": {"look": LOOKING, "login": {**LOGGING_IN, "status=401": ANY}},
    "status": {"look": LOOKING},
    "doctor": {"look": LOOKING_OR_COUNTING, "login": {**LOGGING_IN, "status=401": EITHER}},
    "init": {"look": LOOKING_OR_COUNTING, "login": LOOKING},
    "recover (settled)": {"look": LOOKING, "login": LOGGING_IN},
    "token --json": {"look": WHATEVER},
    "create-proxy": {"look": LOOKING_AFTER, "write": {**WRITING, **CREATING, "conflict": EITHER}, "login": TESTING},
    "create-proxy (repair)": {"look": LOOKING_AFTER, "write": WRITING, "login": TESTING},
    "rotate": {"look": LOOKING_AFTER, "write": WRITING, "login": BOTH},
    "rotate (jwt)": {
        "access": OPENING,
        "access again": OPENING_AGAIN,
        "look": LOOKING_AFTER,
        "write": WRITING_BY_JWT,
        "login": BOTH,
    },
    "rollback (jwt)": {
        "access": OPENING,
        "access again": OPENING_AGAIN,
        "look": LOOKING_AFTER,
        "write": WRITING_BY_JWT,
        "login": TESTING,
    },
    "rotate --prepare": {"look": LOOKING, "login": LOGGING_IN},
    "rollback": {"look": LOOKING_AFTER, "write": WRITING, "login": TESTING},
    "undo": {"look": UNDONE, "write": UNDONE, "login": UNDONE},
    "recover (forward)": {"look": LOOKING_AFTER, "write": WRITING, "login": TESTING},
    "recover (back)": {"look": RETURNING, "write": RETURNING, "login": TESTING},
    # A proxy that does not plainly refuse a key keeps it from going.
    "keys prune": {"look": LOOKING, "login": {fault: {DONE} for fault in LOGGING_IN}},
    "adopt --key": {"look": LOOKING, "login": LOGGING_IN},
    "adopt --replace-key": {"look": LOOKING_AFTER, "write": WRITING, "login": TESTING},
    "recover (lost key)": {"look": LOOKING_AFTER, "write": WRITING, "login": TESTING},
    "release": {"look": LOOKING},
    # The key that is taken along is the one that logs in: a server that is gone for good keeps nobody from it.
    "release --private-to": {"look": WHATEVER},
}
"""What §3 of the design promises of each command, by the request that is struck and by the fault."""
STUCK: Final = {
    "create-proxy": {FAILED},
    "create-proxy (repair)": {FAILED},
    "rotate": {FAILED},
    "rollback": {FAILED},
    "rotate (jwt)": {FAILED},
    "rollback (jwt)": {FAILED},
    "adopt --replace-key": {PERSON},
    "recover (lost key)": {PERSON},
}
"""A proxy that never takes the change: the new key does not log in there, and what can be undone is.

Where nobody could see that the old key logs in, the new one stays on the proxies that take it.
"""


def promised(case: Case) -> set[int]:
    """The exit statuses that the command may end in."""
    usual = {case.command.status}
    if case.request is None:
        return STUCK.get(case.command.name, usual) if case.kind == "stuck" else usual
    if case.request.role in ("logout", "count"):
        # A port that stays closed meets the request after it too.
        return {*usual, FAILED} if case.kind == "refuse" else usual
    return PROMISED[case.command.name][case.request.role][case.kind]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with running(tmp_path_factory.mktemp("faults")) as made:
        yield made


@pytest.mark.parametrize("command", FAULTED, ids=str)
def test_a_fault_at_any_request_ends_as_promised_and_the_next_run_gets_there(
    machine: Machine, command: Command, request: pytest.FixtureRequest
) -> None:
    assert_as_promised(machine, command, request.config)


@pytest.fixture(scope="module")
def machine_by_jwt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with running(tmp_path_factory.mktemp("faults"), kind=JwtMachine) as made:
        yield made


@pytest.mark.parametrize("command", BY_JWT, ids=str)
def test_a_fault_on_the_way_through_a_virtual_proxy_ends_as_promised(
    machine_by_jwt: Machine, command: Command, request: pytest.FixtureRequest
) -> None:
    assert_as_promised(machine_by_jwt, command, request.config)


def assert_as_promised(machine: Machine, command: Command, config: pytest.Config) -> None:
    """Each of the cases of the command, or a sample of them, and what comes after it."""
    every = cases(machine, command)
    chosen = sample(config, f"faults {command}", every, SAMPLE)
    told = []
    strikes = 0
    for case in chosen:
        came = struck(machine, case)
        strikes += came.struck
        told += [f"{case}: {what}" for what in came.wrong]
        if came.run.status not in promised(case):
            told.append(f"{case}: not of {promised(case)}: {came.run.told}")
    enough(strikes, len(chosen))  # where waiting makes the number of requests vary
    assert told == []
    record("faults", command.name, struck=strikes)


def test_a_failure_that_leaves_the_new_certificate_is_found(machine: Machine) -> None:
    """A bug planted on purpose: exit status 1 where the question after the PUT was refused."""
    command = next(command for command in FAULTED if command.name == "rotate")
    every = [case for case in cases(machine, command) if case.request]
    put = next(index for index, case in enumerate(every) if case.request and case.request.role == "write")
    asked = next(
        case for case in every[put:] if case.request and case.request.role == "look" and case.fault == "status=403"
    )
    machine.plants = ("unknown_is_a_failure",)
    try:
        came = struck(machine, asked)
    finally:
        machine.plants = ()
        machine.fresh()
    assert came.run.status == FAILED, came.run.told
    assert any("it failed, and the server shows" in what for what in came.wrong), came.wrong


@pytest.mark.parametrize("arguments", SILENT, ids=" ".join)
def test_these_ask_nothing_of_the_server(machine: Machine, arguments: tuple[str, ...]) -> None:
    machine.settled()
    machine.sandbox.forget_requests()
    ended = machine.run(*arguments)
    assert machine.sandbox.control("GET", "/requests") == []
    # Whether something is due depends on what ran before: time has passed since.
    assert ended.status in ((0, 1) if arguments == ("due",) else (0,)), ended.told
    machine.fresh()
