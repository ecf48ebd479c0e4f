"""Weeks of the daemon in seconds: every start is accounted for, whatever the clock does."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated import Simulation, Start, ends_with, fails, succeeds
from values import WINDOWS, key, ring, spec

from rotator.daemon.loop import LOOK_EVERY
from rotator.model import AnyTime, Consumers, Fingerprint, Intent, IntentKind, ProxySpec, Rotation, Window
from rotator.planning.due import due


MONDAY = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
TOOK = timedelta(seconds=45)
"""How long a rotation takes in the simulation."""
DAILY = frozenset(range(7))
CRON: dict[str, Callable[[datetime], bool]] = {
    "0 3 * * MON,WED,FRI": lambda at: (at.minute, at.hour) == (0, 3) and at.weekday() in (0, 2, 4),
    "15 */6 * * *": lambda at: at.minute == 15 and at.hour % 6 == 0,
    "30 1 * * SUN": lambda at: (at.minute, at.hour, at.weekday()) == (30, 1, 6),
    "*/20 22-23 1-15 * *": lambda at: at.minute % 20 == 0 and at.hour >= 22 and at.day <= 15,
}
"""Cron expressions, which are in UTC, with what they mean in other words."""
STOCKHOLM = "Europe/Stockholm"


def proxy(name: str, site: str = "prod", **rotation: object) -> ProxySpec:
    return spec(name=name, site=site, prefix=name, rotation=Rotation(**rotation))  # type: ignore[arg-type]


def simulation(*specs: ProxySpec, began: datetime = MONDAY, age: timedelta = DAY, **more: object) -> Simulation:
    rings = {made.name: ring(key(created=began - age)) for made in specs}
    return Simulation(specs, began, rings, **more)  # type: ignore[arg-type]


def is_open(window: Window, moment: datetime) -> bool:
    """By the local clock on the wall, minute by minute: another way than the code's."""
    local = moment.astimezone(ZoneInfo(window.zone))
    if window.start < window.end:
        return local.weekday() in window.days and window.start <= local.time() < window.end
    before = (local.weekday() - 1) % 7
    return (local.weekday() in window.days and local.time() >= window.start) or (
        before in window.days and local.time() < window.end
    )


def first_chance(made: ProxySpec, date: datetime) -> datetime:
    """The first minute from `date` on at which a start may be made, found by trying one after the other."""
    margin = 2 * made.rotation.settle_timeout
    minute = date
    while not isinstance(made.rotation.windows, AnyTime):
        if any(
            is_open(window, minute) and is_open(window, minute + margin - MINUTE) for window in made.rotation.windows
        ):
            return minute
        minute = minute.replace(second=0, microsecond=0) + MINUTE
    return minute


def next_date(made: ProxySpec, created: datetime) -> datetime:
    """When a key made at `created` is due: after `every`, or at the next time that is one of `CRON`'s."""
    if made.rotation.every is not None:
        return created + made.rotation.every
    assert made.rotation.cron is not None
    named = CRON[made.rotation.cron]
    minute = created.replace(second=0, microsecond=0) + MINUTE
    while not named(minute):
        minute += MINUTE
    return minute


def account(run: Simulation, made: ProxySpec, created: datetime, *, slack: timedelta = MINUTE) -> list[Start]:
    """Every start of one virtual proxy is where it has to be, and none is missing. Its key was made at `created`."""
    starts = [start for start in run.starts if start.name == made.name]
    date = max(next_date(made, created), run.began)
    for start in starts:
        expected = first_chance(made, date)
        assert expected <= start.wall <= expected + made.rotation.jitter + slack, (made.name, expected, start)
        date = next_date(made, start.wall + TOOK)
    assert first_chance(made, date) + made.rotation.jitter > run.wall - slack, (made.name, "one is missing", date)
    assert [start for start in starts if start.problem] == []
    return starts


NIGHTLY = proxy("nightly", every=DAY - 2 * HOUR, windows=(Window(DAILY, time(2), time(5), STOCKHOLM),))
OVER_MIDNIGHT = proxy("over", "rim", every=DAY, windows=(Window(frozenset({0, 2, 4}), time(23), time(1), STOCKHOLM),))
OFTEN = proxy("often", "third", every=5 * HOUR, windows=AnyTime())
SPREAD = proxy(
    "spread", "fourth", every=20 * HOUR, windows=(Window(DAILY, time(1), time(6), STOCKHOLM),), jitter=2 * HOUR
)
NEIGHBOUR = proxy("neighbour", "prod", every=DAY - 2 * HOUR, windows=(Window(DAILY, time(2), time(5), STOCKHOLM),))
TIMETABLE = proxy(
    "timetable",
    "seventh",
    every=None,
    cron="0 3 * * MON,WED,FRI",
    windows=(Window(DAILY, time(2), time(5), STOCKHOLM),),
)
QUARTERLY = proxy("quarterly", "eighth", every=None, cron="15 */6 * * *", windows=AnyTime())
ALL = (NIGHTLY, OVER_MIDNIGHT, OFTEN, SPREAD, NEIGHBOUR, TIMETABLE, QUARTERLY)


def test_a_week_has_every_start_once_and_in_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(*ALL, beat=2 * MINUTE).patch(monkeypatch)
    run.begin()
    run.pass_time(7 * DAY)
    counts = {}
    for made in ALL:
        counts[made.name] = len(account(run, made, MONDAY - DAY, slack=2 * MINUTE))
    expected = {"nightly": 7, "over": 3, "often": 34, "spread": 7, "neighbour": 7, "timetable": 4, "quarterly": 29}
    assert counts == expected
    assert len(run.looks) < 7 * 24 * 6 + 3 * sum(counts.values())


@pytest.mark.parametrize(
    ("friday", "hours"),
    [(datetime(2026, 3, 27, 12, tzinfo=UTC), 23), (datetime(2026, 10, 23, 12, tzinfo=UTC), 25)],
    ids=["spring", "autumn"],
)
def test_the_weekends_on_which_the_clocks_change_in_stockholm(
    friday: datetime, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = proxy("inside", "fifth", every=12 * HOUR, windows=(Window(DAILY, time(2), time(3), STOCKHOLM),))
    sunday = proxy("sunday", "ninth", every=None, cron="30 1 * * SUN", windows=inside.rotation.windows)
    specs = (*ALL, inside, sunday)
    run = simulation(*specs, began=friday, beat=2 * MINUTE).patch(monkeypatch)
    run.begin()
    run.pass_time(4 * DAY)
    for made in (*ALL, sunday):
        account(run, made, friday - DAY, slack=2 * MINUTE)
    nightly = [start.wall for start in run.starts if start.name == "nightly"]
    assert len(nightly) == 4
    assert hours * HOUR in {later - earlier for earlier, later in itertools.pairwise(nightly)}
    # On the night on which 02:00-03:00 does not exist in Stockholm, no window opens.
    assert len([start for start in run.starts if start.name == "inside"]) == (3 if hours == 23 else 4)


def test_down_time_is_caught_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(OFTEN, NIGHTLY, age=99 * DAY).patch(monkeypatch)
    run.begin()
    run.pass_time(MINUTE)
    assert [start.name for start in run.starts] == ["often"]
    run.pass_time(DAY)
    assert [start.name for start in run.starts].count("nightly") == 1


@pytest.mark.parametrize("slept", [HOUR, 9 * HOUR, 3 * DAY, timedelta(days=60), timedelta(days=365 * 40)])
def test_a_sleeping_machine_catches_up_once(slept: timedelta, monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(OFTEN, age=HOUR).patch(monkeypatch)
    run.begin()
    run.pass_time(HOUR)
    assert run.starts == []
    run.jump(slept)
    run.pass_time(MINUTE)
    assert len(run.starts) == (1 if slept >= 3 * HOUR else 0)
    assert any("the clock went forward" in line for line in run.lines.all)
    run.pass_time(20 * HOUR)
    assert [start.problem for start in run.starts] == [""] * 4


@pytest.mark.parametrize("back", [MINUTE, HOUR, 30 * HOUR, timedelta(days=400)])
def test_a_clock_put_back_makes_no_second_start_and_does_not_stand_still(
    back: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = simulation(OFTEN, age=5 * HOUR).patch(monkeypatch)
    run.begin()
    run.pass_time(2 * MINUTE)
    assert len(run.starts) == 1
    run.jump(-back)
    before = len(run.looks)
    run.pass_time(4 * HOUR)
    # By more than a day, and nobody knows how old the key is: it goes once, and all is settled.
    once_more = int(back > DAY)
    assert len(run.starts) == 1 + once_more
    gaps = [later - earlier for earlier, later in zip(run.looks[before - 1 :], run.looks[before:], strict=False)]
    assert max(gaps) <= LOOK_EVERY.total_seconds() + 20
    # Noon comes again, and with it the start that it was too early for.
    run.jump(back)
    run.pass_time(2 * HOUR)
    assert len(run.starts) == 2 + once_more
    assert [start.problem for start in run.starts] == [""] * len(run.starts)


def fed(run: Simulation) -> list[float]:
    return [steady for steady, message in run.manager.all if message == "WATCHDOG=1"]


@pytest.mark.parametrize(
    "jump", [-400 * DAY, -HOUR, -9 * timedelta(seconds=1), 9 * timedelta(seconds=1), HOUR, 20000 * DAY]
)
def test_the_watchdog_is_fed_whatever_the_clock_does(jump: timedelta, monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(NIGHTLY).patch(monkeypatch)
    run.begin()
    for _ in range(5):
        run.pass_time(7 * MINUTE)
        run.jump(jump)
        run.pass_time(7 * MINUTE)
        run.jump(-jump)
    times = fed(run)
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) < 60


ROTATIONS = st.builds(
    lambda date, **more: Rotation(**date, **more),
    st.one_of(
        st.builds(lambda every: {"every": every}, st.timedeltas(HOUR, 3 * DAY)),
        st.builds(lambda cron: {"cron": cron, "every": None}, st.sampled_from(sorted(CRON))),
    ),
    windows=st.one_of(st.just(AnyTime()), st.lists(WINDOWS, min_size=1, max_size=2).map(tuple)),
    jitter=st.sampled_from([timedelta(0), 10 * MINUTE, 3 * HOUR]),
)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rotations=st.lists(ROTATIONS, min_size=1, max_size=3),
    began=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1)).map(lambda moment: moment.replace(tzinfo=UTC)),
    jumps=st.lists(st.tuples(st.timedeltas(MINUTE, 12 * HOUR), st.timedeltas(-6 * HOUR, 6 * HOUR)), max_size=4),
    work=st.sampled_from([succeeds, fails, ends_with(3), ends_with(1), ends_with(78)]),
)
def test_no_start_is_wrong_and_none_is_forgotten(
    rotations: list[Rotation],
    began: datetime,
    jumps: list[tuple[timedelta, timedelta]],
    work: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    specs = tuple(
        spec(name=f"p{number}", site=f"s{number % 2}", rotation=made) for number, made in enumerate(rotations)
    )
    works = {made.name: work for made in specs}
    run = simulation(*specs, began=began, age=2 * DAY, work=works, beat=MINUTE).patch(monkeypatch)
    run.begin()
    for length, jump in jumps:
        run.pass_time(length)
        run.jump(jump)
    run.pass_time(2 * DAY)
    assert [start for start in run.starts if start.problem] == []
    for made in specs:
        steady = [start.steady for start in run.starts if start.name == made.name]
        assert all(later - earlier >= 15 for earlier, later in itertools.pairwise(steady)), "in a loop"
        # Whatever is due now, and was not started, has a reason to wait: a pause, a jitter, its site.
        if due(made, run.rings[made.name], run.wall).due and run.daemon.rotations.free(made):
            start = run.daemon.starts[made.name]
            assert start > run.wall - MINUTE or run.daemon.rotations.wait(made.name) > timedelta(0), made


def test_what_keeps_failing_is_tried_again_ever_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    intent = Intent("i", IntentKind.ROTATE, MONDAY, Fingerprint("a" * 64), None, Fingerprint("b" * 64))
    run = simulation(NIGHTLY, work={"nightly": ends_with(1)}).patch(monkeypatch)
    run.rings["nightly"] = replace(run.rings["nightly"], intent=intent)
    run.begin()
    run.pass_time(DAY)
    gaps = [later.steady - earlier.steady for earlier, later in zip(run.starts, run.starts[1:], strict=False)]
    assert 20 < len(run.starts) < 34
    assert [round(gap / 15) for gap in gaps[:9]] == [1, 2, 4, 8, 16, 32, 64, 128, 240]
    assert max(gaps) < 61 * 60


def test_a_failure_waits_for_its_retry_and_a_success_forgets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(OFTEN, age=5 * HOUR, work={"often": fails}).patch(monkeypatch)
    run.begin()
    run.pass_time(2 * HOUR)
    assert [round((start.wall - MONDAY) / MINUTE) for start in run.starts] == [0, 16, 46, 107]
    run.work = {}
    run.pass_time(4 * HOUR)
    assert len(run.starts) == 5
    run.pass_time(5 * HOUR)
    assert len(run.starts) == 6


def test_one_rotation_per_site_at_a_time_and_sites_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    specs = [proxy(f"p{number}", f"site{number // 3}", every=DAY, windows=AnyTime()) for number in range(9)]
    run = simulation(*specs).patch(monkeypatch)
    run.begin()
    run.pass_time(5 * MINUTE)
    assert [start.problem for start in run.starts] == [""] * 9
    assert sorted(start.name for start in run.starts) == [made.name for made in specs]
    first = [start for start in run.starts if start.wall - MONDAY < 5 * timedelta(seconds=1)]
    assert len(first) == 3


def test_what_only_a_person_rotates_is_never_started(monkeypatch: pytest.MonkeyPatch) -> None:
    manual = replace(OFTEN, name="manual", consumers=Consumers.MANUAL)
    closed = proxy("closed", every=HOUR)
    run = simulation(manual, closed, age=99 * DAY).patch(monkeypatch)
    run.begin()
    run.pass_time(3 * DAY)
    assert run.starts == []


def test_a_rotation_by_hand_moves_the_next_start(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(OFTEN, age=HOUR).patch(monkeypatch)
    run.begin()
    run.pass_time(3 * HOUR)
    succeeds(run, OFTEN)[1]()
    run.pass_time(4 * HOUR)
    assert run.starts == []
    run.pass_time(HOUR + MINUTE)
    assert len(run.starts) == 1
