"""Everything that can happen, in any order: runs, crashes, faults, other people, lost and restored files, wrong clocks.

What it is that happens is in tests/worlds/happenings.py; here it is drawn. After every step, and before every effect of
every run, the promises of tests/worlds/world.py hold; at the end the faults are gone and a rotation completes within
two runs. With `--soak` it goes on for far longer.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
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
from worlds.effects import ACTS, AWAY, CRASH_AFTER, CRASH_BEFORE, CRASH_SENT, LATE, LOST
from worlds.happenings import CLOCKS, FILES, KINDS, LATER, MEANWHILE, PEOPLE, SECOND, Drawn, Happenings
from worlds.rotators import VERBS
from worlds.server import HOSTS
from worlds.world import World


EXAMPLES: Final = 100
SOAKED: Final = 10000
PARTS: Final = 4
"""Each drawn by itself, so that there is work for each processor."""
STEPS: Final = 15
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
"""Where there is one, state directories are made in it: syncing them is not what is tested here."""

SENDING: Final = ("rotate --now", "rotate --now", "rollback", "create-proxy")
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
        self.happens.copying = FILES in kinds
        if created:
            assert self.world.one.run("create-proxy").exit == 0
        self.happens.delay(delays)

    def of_its_kind(self, drawn: str, known: Mapping[str, str | None], instead: str) -> str:
        """What was drawn, if the example is about such; else what every example may be about."""
        return drawn if known[drawn] in (None, *self.kinds) else instead

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
        who=WHO,
        command=st.sampled_from(SENDING),
        act=st.sampled_from([CRASH_SENT, AWAY]),
        later=st.sampled_from(sorted(LATER)),
        number=NUMBERS,
        undo=st.booleans(),
    )
    def sent(self, who: int, command: str, act: str, later: str, number: int, undo: bool) -> None:
        self.happens.sent(who, command, act, self.of_its_kind(later, LATER, "nothing"), number, undo=undo)

    @rule(
        who=WHO, command=st.sampled_from(CRASHED), label=PLACES, act=st.sampled_from(sorted(MEANWHILE)), number=NUMBERS
    )
    def meanwhile(self, who: int, command: str, label: tuple[str, int], act: str, number: int) -> None:
        self.happens.run(who, command, [(*label, self.of_its_kind(act, MEANWHILE, "timer"), 1, number)])

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
        act=st.sampled_from(["lose state", "restore state", "lose keyring", "restore keyring", "lose key"]),
        number=NUMBERS,
    )
    def files(self, who: int, act: str, number: int) -> None:
        if act == "lose state":
            self.happens.lose_state(who)
        elif act == "restore state":
            self.happens.restore_state(who, number)
        elif act == "lose keyring":
            self.happens.lose_keyring(who)
        elif act == "lose key":
            self.happens.lose_key(who, number)
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


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_happens_somebody_can_log_in_and_rotations_go_on(request: pytest.FixtureRequest, part: int) -> None:
    Machine.counts.clear()
    examples = SOAKED if soaking(request.config) else EXAMPLES * times(request.config)
    run_state_machine_as_test(
        seed(drawn(request.config, f"machine {part}").getrandbits(64))(Machine),
        settings=settings(
            max_examples=examples // PARTS,
            database=None,  # an example that failed before would come first, whatever the seed
            stateful_step_count=STEPS,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    record("machine", f"part-{part}", **{name.replace(" ", "_"): number for name, number in Machine.counts.items()})


@pytest.fixture
def machine() -> Iterator[Machine]:
    """One that is about everything, with a virtual proxy that has been rotated once; what happens is counted from here."""
    made = Machine()
    made.begin(created=True, delays=(0.0, 0.0), kinds=set(KINDS))
    made.resume(0, "rotate --now")
    made.counts.clear()
    yield made
    try:
        made.promises()
    finally:
        made.teardown()


@pytest.mark.parametrize("act", [CRASH_SENT, AWAY])
@pytest.mark.parametrize("undo", [False, True], ids=["set", "undo"])
@pytest.mark.parametrize("later", LATER)
def test_a_put_lands_after_its_run_has_ended(machine: Machine, later: str, undo: bool, act: str) -> None:
    """What the machine draws by chance, each once: the server takes it, but for one that another run was ahead of."""
    ended = machine.happens.sent(0, "rotate --now", act, later, 0, undo=undo)
    assert (ended.crashed, ended.exit) == ((True, None) if act == CRASH_SENT else (False, 4))
    assert machine.counts["runs that ended with a write on its way"] == 1
    assert machine.counts["late PUTs"] >= 1
    assert machine.counts["late PUTs taken"] == (later != "the next run")


@pytest.mark.parametrize("later", LATER)
def test_a_post_lands_after_its_run_has_ended(machine: Machine, later: str) -> None:
    machine.happens.delete()
    machine.happens.sent(0, "create-proxy", CRASH_SENT, later, 0, undo=False)
    assert machine.counts["late PUTs taken"] == 1
    assert machine.world.shown() is not None


@pytest.mark.parametrize("command", ["rotate --now", "recover"])
def test_the_key_of_a_change_under_way_is_lost_before_its_certificate_was_sent(machine: Machine, command: str) -> None:
    """Whose certificate is still there, and must not be sent any more."""
    shown = machine.world.shown()
    machine.happens.run(0, "rotate --now", [("PUT qrs", 1, CRASH_BEFORE, 1, 0)])
    machine.happens.lose_key(0, 0)
    machine.happens.run(0, command, [])
    assert machine.world.shown() == shown


RARE: Final[dict[str, Callable[[Machine], None]]] = {
    "states lost": lambda machine: machine.files(0, "lose state", 0),
    "states restored": lambda machine: machine.files(0, "restore state", 0),
    "keyrings lost": lambda machine: machine.files(0, "lose keyring", 0),
    "keys lost": lambda machine: machine.files(0, "lose key", 0),
    "keyrings restored": lambda machine: machine.files(0, "restore keyring", 0),
    "second rotators": lambda machine: machine.second(),
    "clock jumps": lambda machine: machine.clock(2, -3600.0),
    "foreign certificates": lambda machine: machine.people("edit certificate", 0),
    "deletions": lambda machine: machine.people("delete", 0),
    "relinked": lambda machine: machine.people("relink", 0),
    "foreign edits": lambda machine: machine.edit(0),
    "runs at the same time": lambda machine: machine.meanwhile(0, "rotate --now", ("PUT qrs", 1), "other rotator", 0),
    "late PUTs taken": lambda machine: machine.sent(0, "rotate --now", CRASH_SENT, "nothing", 0, False),
}
"""A rule for each of what is rare in an example, but must not be missing."""


@pytest.mark.parametrize("event", RARE)
def test_what_is_rare_happens(machine: Machine, event: str) -> None:
    RARE[event](machine)
    assert machine.counts[event] == 1
