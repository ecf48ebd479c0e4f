"""Delivery has an end: by age, by number, and it waits for nobody who holds on to the lock for good."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from values import NOW

from rotator.dispatch import Dispatch, Sent
from rotator.model import Notice, NoticeEvent, Notify, Telling
from rotator.state import figures, outbox
from rotator.state.outbox import Outbox


def notice(number: int) -> Notice:
    of = ("h", "prod", "portal", "rotate", "Undone", 1, f"message {number}", "", "", NOW)
    return Notice(f"n{number}", NoticeEvent.FAILED, *of)


@pytest.fixture
def dispatch(tmp_path: Path) -> Dispatch:
    """One hook, which fails until there is a file `mended`, and an outbox with one notice."""
    state, hooks = tmp_path / "state", tmp_path / "hooks.d"
    for folder in (state, hooks):
        folder.mkdir(mode=0o700)
    hook = hooks / "10-page"
    hook.write_text(f'#!/bin/sh\necho "$ROTATOR_NOTICE_ID" >>{tmp_path}/tried\n[ -e {tmp_path}/mended ]\n')
    hook.chmod(0o755)
    with Outbox(state) as box:
        box.put("prod", "portal", notice(0), ())
    return at(tmp_path, timedelta(0))


def at(folder: Path, later: timedelta) -> Dispatch:
    return Dispatch(Telling(folder / "state", Notify(hooks=folder / "hooks.d")), {}, lambda: NOW + later, "rotate")


def lines(sent: list[Sent]) -> list[str]:
    return [each.error.message for each in sent if each.error is not None]


def test_a_notice_is_given_up_after_a_week_with_one_loud_line(dispatch: Dispatch, tmp_path: Path) -> None:
    assert len(lines(dispatch.deliver())) == 1
    assert len(lines(at(tmp_path, timedelta(days=7)).deliver())) == 1
    last = lines(at(tmp_path, timedelta(days=7, seconds=1)).deliver())
    assert [line for line in last if "GIVEN UP" in line and "message 0" in line] == last[1:]
    assert at(tmp_path, timedelta(days=8)).deliver() == []
    found = figures.read(tmp_path / "state")
    assert (found.undelivered, found.given_up) == (0, 1)
    assert not outbox.due(tmp_path / "state", "portal", ["portal"], NOW + timedelta(days=9))


def test_a_channel_that_fails_is_tried_once_in_a_run_and_the_oldest_go_where_too_many_wait(
    dispatch: Dispatch, tmp_path: Path
) -> None:
    with Outbox(tmp_path / "state") as box:
        for number in range(1, outbox.LARGEST + 2):
            box.put("prod", "portal", notice(number), ())
    said = lines(dispatch.deliver())
    assert (tmp_path / "tried").read_text().split() == ["n0"]
    assert ["GIVEN UP" in line for line in said] == [False, True, True]
    (tmp_path / "mended").touch()
    assert lines(dispatch.deliver()) == []
    assert (tmp_path / "tried").read_text().split() == ["n0", *(f"n{n}" for n in range(2, outbox.LARGEST + 2))]


def test_two_runs_at_once_deliver_each_notice_once(dispatch: Dispatch, tmp_path: Path) -> None:
    (tmp_path / "mended").touch()
    with Outbox(tmp_path / "state") as box:
        for number in range(1, 10):
            box.put("prod", "portal", notice(number), ())
    runs = [threading.Thread(target=at(tmp_path, timedelta(0)).deliver) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert (tmp_path / "tried").read_text().split() == [f"n{number}" for number in range(10)]
