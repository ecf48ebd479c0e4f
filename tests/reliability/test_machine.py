"""Everything that can happen, in any order: runs, crashes, faults, other people, lost and restored files, wrong clocks.

After every step, and before every effect of every run, the promises of tests/worlds/world.py hold; at the end the
faults are gone and a rotation completes within two runs. With `--soak` it goes on for far longer.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sampling import drawn, record, soaking, times
from worlds.admin import settle
from worlds.effects import ACTS, CRASH_AFTER, CRASH_BEFORE, LATE, LOST, VANISH, Stroke
from worlds.rotators import VERBS, Ended, Rotator, adopting
from worlds.server import CERTIFICATE, HOSTS
from worlds.world import World


CRASHED: Final = ("rotate --now", "rotate --now", "rollback", "recover", "create-proxy", "keys prune", "rotate")
EXAMPLES: Final = 200
SOAKED: Final = 10000
STEPS: Final = 15
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
"""Where there is one, state directories are made in it: syncing them is not what is tested here."""

DELAYS: Final = st.sampled_from([0.0, 0.0, 1.0, 6.0, 30.0])
LABELS: Final = st.sampled_from(
    [
        ("any", 90),
        ("PUT qrs", 3),
        ("GET qrs", 12),
        ("POST qrs", 1),
        ("proxy", 16),
        ("proxy rim.example.com", 8),
        ("set", 6),
        ("get", 16),
        ("delete", 3),
        ("COMMIT", 1),
    ]
)
MEANWHILE: Final = {
    "edit": "",
    "land": "",
    "timer": "",
    "edit certificate": "people",
    "old certificate": "people",
    "delete": "people",
    "server clock": "clocks",
    "other rotator": "second",
}
"""What somebody else may do while a run is at work, and what an example must be about for it."""


PLACES: Final = st.one_of(
    st.sampled_from([("PUT qrs", 1), ("PUT qrs", 2), ("POST qrs", 1)]),
    LABELS.flatmap(lambda each: st.tuples(st.just(each[0]), st.integers(1, each[1]))),
)
"""Where somebody else comes in between: most of all between a question and the write that rests on its answer."""


@st.composite
def strokes(draw: st.DrawFn) -> tuple[str, int, str, int, int]:
    label, most = draw(LABELS)
    act = draw(st.sampled_from([CRASH_BEFORE, CRASH_AFTER, LOST, LATE, *ACTS]))
    return label, draw(st.integers(1, most)), act, draw(st.sampled_from([1, 1, 1, 4, 100])), draw(st.integers(0, 9))


STROKES: Final = st.one_of(st.lists(strokes(), min_size=1, max_size=1), st.lists(strokes(), max_size=3))
Drawn = list[tuple[str, int, str, int, int]]
KINDS: Final = ("people", "files", "clocks", "second")
"""What an example may be about, beside runs, crashes, faults and late PUTs: without the others it goes deeper."""


def about(kind: str) -> Callable[["Machine"], bool]:
    return lambda machine: kind in machine.kinds


class Machine(RuleBasedStateMachine):
    """One site, one rotator or two, and everybody else."""

    counts: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        base = MEMORY if MEMORY.is_dir() else None
        self.folder = Path(tempfile.mkdtemp(prefix="rotator-machine-", dir=base))
        self.world = World(self.folder)
        self.states: dict[str, list[Path]] = {}
        self.keyrings: dict[str, list[dict[str, str]]] = {}
        self.kinds: set[str] = set()
        self.person = False
        """Whether something has happened since the last settling that asks for a person."""
        self.counts["examples"] += 1

    @initialize(created=st.booleans(), delays=st.tuples(DELAYS, DELAYS), kinds=st.sets(st.sampled_from(KINDS)))
    def begin(self, created: bool, delays: tuple[float, float], kinds: set[str]) -> None:
        self.kinds = kinds
        if created:
            assert self.world.one.run("create-proxy").exit == 0
        self.delay(delays)

    def teardown(self) -> None:
        try:
            self.finally_settled()
        finally:
            shutil.rmtree(self.folder)

    # --- runs

    def run_of(self, rotator: Rotator, command: str, drawn: list[tuple[str, int, str, int, int]]) -> Ended:
        made = [self.stroke(rotator, *each) for each in drawn]
        ended = rotator.run(command, made)
        self.counts["runs"] += 1
        self.counts["effects"] += ended.effects.seen["any"]
        self.counts["crashes"] += ended.crashed
        self.counts["faults"] += len(ended.effects.struck)
        # A keyring that forgets is an older copy of itself: people are told, and decide.
        self.person = self.person or any(act == VANISH and "keyring" in labels for act, *labels in ended.effects.struck)
        return ended

    def stroke(self, rotator: Rotator, label: str, nth: int, act: str, times: int, number: int) -> Stroke:
        if act not in MEANWHILE:
            return Stroke(label, nth, act, times=times)
        do: dict[str, Callable[[], Any]] = {
            "edit": lambda: self.edit(number),
            "edit certificate": self.edit_certificate,
            "old certificate": lambda: self.old_certificate(number),
            "delete": self.delete,
            "land": lambda: self.land(number),
            "server clock": lambda: self.server_clock([-3600.0, 3600.0][number % 2]),
            "timer": lambda: self.begins(rotator, number),
            "other rotator": lambda: self.begins(self.pick(self.world.rotators.index(rotator) + 1), number),
        }
        return Stroke(label, nth, None, meanwhile=do[act])

    def begins(self, rotator: Rotator, number: int) -> None:
        """Another rotator, or the same one from the timer, begins and ends while one is at work."""
        self.counts["runs at the same time"] += 1
        rotator.run(["rotate --now", "rotate", "rollback"][number % 3])

    def pick(self, number: int) -> Rotator:
        return self.world.rotators[number % len(self.world.rotators)]

    @rule(who=st.integers(0, 1), command=st.sampled_from(sorted(VERBS)), drawn=STROKES)
    def run(self, who: int, command: str, drawn: Drawn) -> None:
        self.run_of(self.pick(who), command, drawn)

    @rule(who=st.integers(0, 1), drawn=STROKES)
    def rotate(self, who: int, drawn: Drawn) -> None:
        self.run_of(self.pick(who), "rotate --now", drawn)

    @rule(who=st.integers(0, 1), nth=st.integers(1, 85), after=st.booleans(), command=st.sampled_from(CRASHED))
    def crash(self, who: int, nth: int, after: bool, command: str) -> None:
        self.run_of(self.pick(who), command, [("any", nth, CRASH_AFTER if after else CRASH_BEFORE, 1, 0)])

    @rule(who=st.integers(0, 1), nth=st.integers(1, 4), act=st.sampled_from([LATE, LATE, LOST, "500"]))
    def unanswered(self, who: int, nth: int, act: str) -> None:
        self.run_of(self.pick(who), "rotate --now", [("PUT qrs", nth, act, 5, 0)])

    @rule(
        who=st.integers(0, 1),
        command=st.sampled_from(CRASHED),
        label=PLACES,
        act=st.sampled_from(sorted(MEANWHILE)),
        number=st.integers(0, 9),
    )
    def meanwhile(self, who: int, command: str, label: tuple[str, int], act: str, number: int) -> None:
        if MEANWHILE[act] in ("", *self.kinds):
            self.run_of(self.pick(who), command, [(*label, act, 1, number)])

    @rule(who=st.integers(0, 1), command=st.sampled_from(["rotate --now", "rotate", "create-proxy"]))
    def resume(self, who: int, command: str) -> None:
        self.run_of(self.pick(who), command, [])

    @rule(who=st.integers(0, 1), days=st.sampled_from([0, 8]))
    def prune(self, who: int, days: int) -> None:
        """With whatever somebody else has put on the server, or is still on its way there."""
        self.world.timeline.elapse(days * 86400.0)
        self.run_of(self.pick(who), "keys prune", [])

    # --- the server

    @rule(
        act=st.sampled_from(["delay", "stick", "restart", "wait"]),
        delays=st.tuples(DELAYS, DELAYS),
        seconds=st.sampled_from([60.0, 3600.0, 86400.0, 31 * 86400.0]),
    )
    def server(self, act: str, delays: tuple[float, float], seconds: float) -> None:
        if act == "delay":
            self.delay(delays)
        elif act == "stick":
            self.world.server.node(HOSTS[seconds > 60]).stuck = True
        elif act == "restart":
            self.world.server.restart()
        else:
            self.world.timeline.elapse(seconds)

    def delay(self, delays: tuple[float, float]) -> None:
        for host, delay in zip(HOSTS, delays, strict=True):
            self.world.server.node(host).delay = delay

    @precondition(lambda self: self.world.server.late)
    @rule(number=st.integers(0, 9))
    def land(self, number: int) -> None:
        late = self.world.server.late
        if late:
            self.counts["late PUTs"] += 1
            self.counts["late PUTs taken"] += self.world.server.land(number % len(late))

    @rule(number=st.integers(0, 9))
    def edit(self, number: int) -> None:
        """Somebody changes another field in the QMC."""
        field, value = [("sessionInactivityTimeout", 30 + number), ("engineRoutingPolicy", number)][number % 2]
        self.counts["foreign edits"] += 1
        self.world.server.edit(self.world.prefix, **{field: value})

    # --- other people, who do what only people can mend

    @precondition(about("people"))
    @rule(act=st.sampled_from(["edit certificate", "old certificate", "delete", "relink"]), number=st.integers(0, 9))
    def people(self, act: str, number: int) -> None:
        if act == "edit certificate":
            self.edit_certificate()
        elif act == "old certificate":
            self.old_certificate(number)
        elif act == "delete":
            self.delete()
        else:
            self.relink([(), HOSTS[:1], HOSTS][number % 3])

    def edit_certificate(self) -> None:
        key = self.world.new_key()
        self.world.outside[key.fingerprint] = key
        self.put_by_hand(key.certificate("somebody else", 30, self.world.timeline.present()))

    def old_certificate(self, number: int) -> None:
        """Somebody puts a certificate back that rotator has a key for."""
        texts = self.world.one.certificates()
        if texts:
            self.put_by_hand(texts[number % len(texts)][1])

    def put_by_hand(self, text: str) -> None:
        self.person = True
        self.counts["foreign certificates"] += 1
        self.world.server.edit(self.world.prefix, **{CERTIFICATE: text})

    def delete(self) -> None:
        self.person = True
        self.counts["deletions"] += 1
        self.world.server.delete(self.world.prefix)

    def relink(self, hosts: tuple[str, ...]) -> None:
        self.person = self.person or hosts == ()
        self.counts["relinked"] += 1
        self.world.server.relink(self.world.prefix, hosts)

    # --- files

    @precondition(about("files"))
    @rule(
        who=st.integers(0, 1),
        act=st.sampled_from(["copy", "lose state", "restore state", "lose keyring", "restore keyring"]),
        number=st.integers(0, 9),
    )
    def files(self, who: int, act: str, number: int) -> None:
        rotator = self.pick(who)
        states, keyrings = self.states.setdefault(rotator.name, []), self.keyrings.setdefault(rotator.name, [])
        if act == "copy":
            keyrings.append(dict(rotator.keyring.items))
            state = rotator.copy_state()
            states += [state] if state else []
        elif act == "lose state":
            self.counts["states lost"] += 1
            rotator.lose_state()
        elif act == "restore state" and states:
            self.counts["states restored"] += 1
            rotator.restore_state(states[number % len(states)])
        elif act == "lose keyring" or (act == "restore keyring" and keyrings):
            copy = keyrings[number % len(keyrings)] if act == "restore keyring" else None
            self.person = True
            self.counts["keyrings restored" if copy else "keyrings lost"] += 1
            self.world.lose_keyring(rotator, copy)

    # --- clocks

    @precondition(about("clocks"))
    @rule(who=st.integers(0, 2), seconds=st.sampled_from([-10 * 86400.0, -3600.0, 3600.0, 10 * 86400.0]))
    def clock(self, who: int, seconds: float) -> None:
        if who == 2:
            self.server_clock(seconds)
        else:
            self.counts["clock jumps"] += 1
            self.pick(who).clock.offset = seconds

    def server_clock(self, seconds: float) -> None:
        self.counts["clock jumps"] += 1
        self.world.server.clock.offset = seconds

    # --- a second rotator

    @precondition(lambda self: "second" in self.kinds and len(self.world.rotators) == 1)
    @rule()
    def second(self) -> None:
        """Another host, with a keyring and a state of its own, is given the same key."""
        shown = self.world.shown()
        key = self.world.key(shown) if shown else None
        if key is not None:
            self.counts["second rotators"] += 1
            self.person = True
            self.world.rotator("two").run("adopt", verb=adopting(key))

    @rule()
    def settled(self) -> None:
        self.finally_settled()

    def finally_settled(self) -> None:
        for rotator in self.world.rotators:
            ordinary = rotator.current is not None and not self.person
            runs = settle(self.world, rotator, ordinary=ordinary)
            self.counts["settled by ordinary runs" if ordinary else "settled by hints"] += 1
            self.counts["settling runs"] += len(runs)
        self.person = len(self.world.rotators) > 1

    @invariant()
    def promises(self) -> None:
        self.counts["steps"] += 1
        self.world.watch()
        self.world.check_logins()


def test_whatever_happens_somebody_can_log_in_and_rotations_go_on(request: pytest.FixtureRequest) -> None:
    Machine.counts.clear()
    examples = SOAKED if soaking(request.config) else EXAMPLES * times(request.config)
    run_state_machine_as_test(
        seed(drawn(request.config, "machine").getrandbits(64))(Machine),
        settings=settings(
            max_examples=examples,
            database=None,  # an example that failed before would come first, whatever the seed
            stateful_step_count=STEPS,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    record("machine", "all", **{name.replace(" ", "_"): number for name, number in Machine.counts.items()})
