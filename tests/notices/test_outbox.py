"""The outbox: nothing in it is lost, nothing is told for ever, an older journal grows into it."""

import multiprocessing
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from values import NOW

from rotator.errors import JournalError
from rotator.model import Certificate, Notice, NoticeEvent, Standing, Trouble, Warned
from rotator.state import database, figures, outbox
from rotator.state.journal import Journal, read
from rotator.state.outbox import Outbox


def notice(number: int = 0, name: str = "portal", **changes: object) -> Notice:
    fields: dict[str, object] = {
        "id": f"n{number}",
        "event": NoticeEvent.FAILED,
        "host": "h",
        "site": "prod",
        "name": name,
        "command": "rotate",
        "reason": "Undone",
        "exit": 1,
        "message": "m",
        "hint": "",
        "fingerprint": "",
        "at": NOW,
        "since": NOW,
    }
    return Notice(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_notice_comes_out_as_it_went_in(tmp_path: Path) -> None:
    told = notice(ends=NOW + timedelta(days=1), exit=None)
    with Outbox(tmp_path) as box:
        box.put("prod", "portal", told, (Trouble("prod", "portal", "Undone", NOW, NOW),))
    with Outbox(tmp_path) as box:
        (waiting,) = box.waiting()
        assert (waiting.notice, waiting.taken, waiting.attempts) == (told, frozenset(), 0)
        assert box.troubles("prod", "portal") == (Trouble("prod", "portal", "Undone", NOW, NOW),)
        box.took(told, "mail")
        assert box.waiting()[0].taken == {"mail"}
        box.delivered(told)
        assert box.waiting() == ()


def test_due_comes_back_later_and_later_but_at_least_every_four_hours(tmp_path: Path) -> None:
    with Outbox(tmp_path) as box:
        box.put("prod", "portal", notice(), ())
        assert outbox.due(tmp_path, "portal", ["portal"], NOW)
        moment, delays = NOW, []
        for _ in range(9):
            box.again(box.waiting()[0], moment)
            assert not outbox.due(tmp_path, "portal", ["portal"], moment)
            later = next(
                minutes
                for minutes in range(1, 500)
                if outbox.due(tmp_path, "portal", ["portal"], moment + timedelta(minutes=minutes))
            )
            delays.append(later)
            moment += timedelta(minutes=later)
    assert delays == [5, 10, 20, 40, 80, 160, 240, 240, 240]


def test_a_notice_is_due_for_its_own_virtual_proxy_and_without_one_for_all(tmp_path: Path) -> None:
    known = ["portal", "other"]
    with Outbox(tmp_path) as box:
        box.put("prod", "portal", notice(), ())
    assert [outbox.due(tmp_path, name, known, NOW) for name in known] == [True, False]
    with Outbox(tmp_path) as box:
        box.put("", "", notice(1, name=""), ())
    assert [outbox.due(tmp_path, name, known, NOW) for name in known] == [True, True]
    assert outbox.due(tmp_path, "other", ["other"], NOW)  # portal was taken out of the configuration


def test_a_notice_wears_out_by_age_however_often_it_was_tried() -> None:
    tried = outbox.Waiting(notice(), frozenset(), 10_000)
    assert not tried.worn_out(NOW + timedelta(days=7))
    assert tried.worn_out(NOW + timedelta(days=7, seconds=1))


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"event": "failed"}'])
def test_a_notice_that_cannot_be_read_is_a_damaged_journal(tmp_path: Path, content: str) -> None:
    with Outbox(tmp_path) as box:
        box.put("prod", "portal", notice(), ())
    with closing(sqlite3.connect(tmp_path / database.FILE)) as connection, connection:
        connection.execute("UPDATE notice SET content = ?", (content,))
    with Outbox(tmp_path) as box, pytest.raises(JournalError, match="holds a notice that cannot be read") as caught:
        box.waiting()
    assert "move it away" in (caught.value.hint or "")


def test_what_was_delivered_is_forgotten_after_a_month_and_what_waits_is_not(tmp_path: Path) -> None:
    with Outbox(tmp_path) as box:
        for number in (1, 2):
            box.put("prod", "portal", notice(number), ())
        box.took(notice(1), "mail")
        box.delivered(notice(1))
        box.tidy(NOW + timedelta(days=29))
        count = sqlite3.connect(tmp_path / database.FILE)
        assert count.execute("SELECT count(*) FROM notice").fetchone() == (2,)
        box.tidy(NOW + timedelta(days=31))
        assert count.execute("SELECT id FROM notice").fetchall() == [("n2",)]
        assert count.execute("SELECT count(*) FROM receipt").fetchone() == (0,)
        count.close()


def test_what_a_unit_said_itself_is_known_by_its_invocation(tmp_path: Path) -> None:
    with Outbox(tmp_path) as box:
        box.put("prod", "portal", None, (), spoken="abc")
        box.put("", "", None, (), spoken="early")
        assert box.spoke("abc", "portal", NOW)
        assert not box.spoke("abc", "other", NOW)
        assert not box.spoke("def", "portal", NOW)
        assert box.spoke("early", "portal", NOW)


@pytest.mark.parametrize(
    ("status", "minutes", "spoke"), [(1, 1, True), (0, 1, False), (1, 11, False), (None, 1, False)]
)
def test_without_an_invocation_the_journal_says_whether_a_run_could_speak(
    tmp_path: Path, status: int | None, minutes: int, spoke: bool
) -> None:
    journal = Journal(tmp_path, lambda: NOW, lambda: 0, print)
    with journal.run("prod", "portal", "rotate", "me") as ending:
        ending.exit = status
    journal.close()
    with Outbox(tmp_path) as box:
        assert box.spoke(None, "portal", NOW + timedelta(minutes=minutes)) is spoke
        assert not box.spoke(None, "other", NOW)


def test_warnings_are_remembered_with_the_end_they_were_for(tmp_path: Path) -> None:
    warned = Warned(Certificate.CLIENT, "prod", "", NOW, 7)
    assert outbox.warned(tmp_path) == ()
    with Outbox(tmp_path) as box:
        box.put_warning(notice(), warned)
        assert outbox.warned(tmp_path) == (warned,)
        assert len(box.waiting()) == 1


def old_journal(state: Path) -> None:
    """A journal as the version before the outbox left it, with one run."""
    opened = sqlite3.connect(state / database.FILE)
    opened.executescript(database.MIGRATIONS[0] + "PRAGMA user_version = 1;")
    opened.execute(
        "INSERT INTO run (site, name, command, started_by, pid, began, ended, exit, outcome, reason) "
        "VALUES ('prod', 'portal', 'rotate', 'me', 1, ?, ?, 0, 'rotated', 'Promoted')",
        (NOW.isoformat(), NOW.isoformat()),
    )
    opened.commit()
    opened.close()


def test_an_older_journal_is_read_as_it_is_and_grows_when_it_is_written(tmp_path: Path) -> None:
    old_journal(tmp_path)
    (run,) = read(tmp_path, [("prod", "portal")], 9)
    assert (run.sessions, run.seconds) == (None, 0.0)
    assert not outbox.due(tmp_path, "portal", ["portal"], NOW)
    assert (outbox.warned(tmp_path), figures.standings(tmp_path)) == ((), ())
    figures.note(tmp_path, [Standing("prod", "portal", NOW)])
    (tally,) = figures.read(tmp_path).tallies
    assert tally.rotations == (("rotated", 0, "Promoted", 1),)
    assert read(tmp_path, [("prod", "portal")], 9)[0].outcome == "rotated"


def _grow(state: Path, barrier: object, answers: "multiprocessing.Queue[str]") -> None:
    barrier.wait()  # type: ignore[attr-defined]
    try:
        Outbox(state).waiting()
        answers.put("well")
    except JournalError as error:
        answers.put(error.message)


def test_two_processes_that_meet_an_older_journal_both_go_on(tmp_path: Path) -> None:
    old_journal(tmp_path)
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    both = [context.Process(target=_grow, args=(tmp_path, barrier, answers)) for _ in range(2)]
    for process in both:
        process.start()
    assert [answers.get(timeout=60) for _ in both] == ["well", "well"]
    for process in both:
        process.join()


def test_sessions_are_added_up_run_by_run(tmp_path: Path) -> None:
    journal = Journal(tmp_path, lambda: NOW, lambda: 0, print)
    for cut in (3, 4):
        with journal.run("prod", "portal", "rotate", "me") as ending:
            journal.cut(cut)
            ending.exit = 0
    journal.close()
    assert [run.sessions for run in read(tmp_path, [("prod", "portal")], 9)] == [4, 3]
    assert figures.read(tmp_path).tallies[0].sessions_cut == 7


def test_a_run_that_was_put_off_does_not_hide_a_failure(tmp_path: Path) -> None:
    journal = Journal(tmp_path, lambda: NOW, lambda: 0, print)
    for status in (0, 4, 3):
        with journal.run("prod", "portal", "rotate", "me") as ending:
            ending.exit = status
    journal.close()
    (tally,) = figures.read(tmp_path).tallies
    assert (tally.last_exit, tally.last_success) == (4, NOW)
