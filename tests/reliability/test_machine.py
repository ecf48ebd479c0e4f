"""Everything that can happen, in any order: runs, crashes, faults, other people, lost and restored files, wrong clocks.

What it is that happens is in tests/worlds/happenings.py; here it is drawn. After every step, and before every effect of
every run, the promises of tests/worlds/world.py hold; at the end the faults are gone and a rotation completes within
two runs. With `--soak` it goes on for far longer.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final

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
from worlds.effects import ACTS, CRASH_AFTER, CRASH_BEFORE, LATE, LOST
from worlds.happenings import CLOCKS, FILES, KINDS, MEANWHILE, PEOPLE, SECOND, Drawn, Happenings
from worlds.rotators import VERBS
from worlds.server import HOSTS
from worlds.world import World


EXAMPLES: Final = 150
SOAKED: Final = 10000
STEPS: Final = 15
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
"""Where there is one, state directories are made in it: syncing them is not what is tested here."""

CRASHED: Final = ("rotate --now", "rotate --now", "rollback", "recover", "create-proxy", "keys prune", "rotate")
DELAYS: Final = st.sampled_from([0.0, 0.0, 1.0, 6.0, 30.0])
WHO: Final = st.integers(0, 1)
NUMBERS: Final = st.integers(0, 9)
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
"""What an effect is labelled as, and how often there is such a one in a run."""
PLACES: Final = st.one_of(
    st.sampled_from([("PUT qrs", 1), ("PUT qrs", 2), ("POST qrs", 1)]),
    LABELS.flatmap(lambda each: st.tuples(st.just(each[0]), st.integers(1, each[1]))),
)
"""Where somebody else comes in between: most of all between a question and the write that rests on its answer."""


@st.composite
def strokes(draw: st.DrawFn) -> Drawn:
    label, most = draw(LABELS)
    act = draw(st.sampled_from([CRASH_BEFORE, CRASH_AFTER, LOST, LATE, *ACTS]))
    return label, draw(st.integers(1, most)), act, draw(st.sampled_from([1, 1, 1, 4, 100])), draw(NUMBERS)


STROKES: Final = st.one_of(st.lists(strokes(), min_size=1, max_size=1), st.lists(strokes(), max_size=3))


def about(kind: str) -> Callable[["Machine"], bool]:
    return lambda machine: kind in machine.kinds


class Machine(RuleBasedStateMachine):
    """What happens next."""

    counts: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        base = MEMORY if MEMORY.is_dir() else None
        self.folder = Path(tempfile.mkdtemp(prefix="rotator-machine-", dir=base))
        self.world = World(self.folder)
        self.happens = Happenings(self.world, self.counts)
        self.kinds: set[str] = set()
        self.counts["examples"] += 1

    @initialize(created=st.booleans(), delays=st.tuples(DELAYS, DELAYS), kinds=st.sets(st.sampled_from(KINDS)))
    def begin(self, created: bool, delays: tuple[float, float], kinds: set[str]) -> None:
        self.kinds = kinds
        if created:
            assert self.world.one.run("create-proxy").exit == 0
        self.happens.delay(delays)

    def teardown(self) -> None:
        try:
            self.happens.settled()
        finally:
            shutil.rmtree(self.folder)

    # --- runs

    @rule(who=WHO, command=st.sampled_from(sorted(VERBS)), drawn=STROKES)
    def run(self, who: int, command: str, drawn: list[Drawn]) -> None:
        self.happens.run(who, command, drawn)

    @rule(who=WHO, drawn=STROKES)
    def rotate(self, who: int, drawn: list[Drawn]) -> None:
        self.happens.run(who, "rotate --now", drawn)

    @rule(who=WHO, nth=st.integers(1, 85), after=st.booleans(), command=st.sampled_from(CRASHED))
    def crash(self, who: int, nth: int, after: bool, command: str) -> None:
        self.happens.run(who, command, [("any", nth, CRASH_AFTER if after else CRASH_BEFORE, 1, 0)])

    @rule(who=WHO, nth=st.integers(1, 4), act=st.sampled_from([LATE, LATE, LOST, "500"]))
    def unanswered(self, who: int, nth: int, act: str) -> None:
        self.happens.run(who, "rotate --now", [("PUT qrs", nth, act, 5, 0)])

    @rule(
        who=WHO, command=st.sampled_from(CRASHED), label=PLACES, act=st.sampled_from(sorted(MEANWHILE)), number=NUMBERS
    )
    def meanwhile(self, who: int, command: str, label: tuple[str, int], act: str, number: int) -> None:
        if MEANWHILE[act] in (None, *self.kinds):
            self.happens.run(who, command, [(*label, act, 1, number)])

    @rule(who=WHO, command=st.sampled_from(["rotate --now", "rotate", "create-proxy"]))
    def resume(self, who: int, command: str) -> None:
        self.happens.run(who, command, [])

    @rule(who=WHO, days=st.sampled_from([0, 8]))
    def prune(self, who: int, days: int) -> None:
        """With whatever somebody else has put on the server, or is still on its way there."""
        self.world.timeline.elapse(days * 86400.0)
        self.happens.run(who, "keys prune", [])

    # --- the server

    @rule(
        act=st.sampled_from(["delay", "stick", "restart", "wait"]),
        delays=st.tuples(DELAYS, DELAYS),
        seconds=st.sampled_from([60.0, 3600.0, 86400.0, 31 * 86400.0]),
    )
    def server(self, act: str, delays: tuple[float, float], seconds: float) -> None:
        if act == "delay":
            self.happens.delay(delays)
        elif act == "stick":
            self.world.server.node(HOSTS[seconds > 60]).stuck = True
        elif act == "restart":
            self.world.server.restart()
        else:
            self.world.timeline.elapse(seconds)

    @precondition(lambda self: self.world.server.late)
    @rule(number=NUMBERS)
    def land(self, number: int) -> None:
        self.happens.land(number)

    @rule(number=NUMBERS)
    def edit(self, number: int) -> None:
        self.happens.edit(number)

    # --- people, files, clocks and a second rotator

    @precondition(about(PEOPLE))
    @rule(act=st.sampled_from(["edit certificate", "old certificate", "delete", "relink"]), number=NUMBERS)
    def people(self, act: str, number: int) -> None:
        if act == "edit certificate":
            self.happens.edit_certificate()
        elif act == "old certificate":
            self.happens.old_certificate(number)
        elif act == "delete":
            self.happens.delete()
        else:
            self.happens.relink([(), HOSTS[:1], HOSTS][number % 3])

    @precondition(about(FILES))
    @rule(
        who=WHO,
        act=st.sampled_from(["copy", "lose state", "restore state", "lose keyring", "restore keyring"]),
        number=NUMBERS,
    )
    def files(self, who: int, act: str, number: int) -> None:
        if act == "copy":
            self.happens.copy(who)
        elif act == "lose state":
            self.happens.lose_state(who)
        elif act == "restore state":
            self.happens.restore_state(who, number)
        elif act == "lose keyring":
            self.happens.lose_keyring(who)
        else:
            self.happens.restore_keyring(who, number)

    @precondition(about(CLOCKS))
    @rule(who=st.integers(0, 2), seconds=st.sampled_from([-10 * 86400.0, -3600.0, 3600.0, 10 * 86400.0]))
    def clock(self, who: int, seconds: float) -> None:
        if who == 2:
            self.happens.server_clock(seconds)
        else:
            self.happens.clock(who, seconds)

    @precondition(lambda self: SECOND in self.kinds and len(self.world.rotators) == 1)
    @rule()
    def second(self) -> None:
        self.happens.second()

    @rule()
    def settled(self) -> None:
        self.happens.settled()

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
