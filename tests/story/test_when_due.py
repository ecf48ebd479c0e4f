"""When a rotation may run: due or not yet, in a window or outside of it."""

from datetime import UTC, datetime

from sandbox_process import Sandbox


def test_nothing_is_due_yet(portal: Sandbox) -> None:
    assert portal.rotator("due").status == 1
    ended = portal.rotator("rotate", "--json")
    assert (ended.status, ended.result["outcome"], ended.result["reason"]) == (0, "unchanged", "NotYet")


def test_due_when_the_key_is_old_enough_and_rotated_unattended(portal: Sandbox) -> None:
    adopted = portal.configure(('every = "30d"', 'every = "1h"'))
    key = portal.folder / "key.pem"
    assert portal.rotator("release", "portal", "--private-to", str(key)).status == 0
    assert portal.rotator("adopt", "portal", "--key", str(key)).status == 0  # its certificate began an hour ago
    assert portal.rotator("due", config=adopted).status == 0
    assert portal.rotator("rotate", "--json").result["outcome"] == "rotated"


def test_without_a_window_only_people_rotate(portal: Sandbox) -> None:
    portal.configure(('window = ["any"]', ""))
    assert portal.rotator("due").status == 255
    unattended = portal.rotator("rotate")
    assert unattended.status == 78
    assert "window" in unattended.err
    assert portal.rotator("rotate", "--now").status == 0


def test_outside_the_window_try_later(portal: Sandbox) -> None:
    day = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")[(datetime.now(UTC).weekday() + 3) % 7]
    portal.configure(('window = ["any"]', f'window = ["{day} 02:00-05:00 UTC"]'))
    ended = portal.rotator("rotate", "--now", "--json")
    assert (ended.status, ended.result["reason"]) == (3, "WindowClosed")
    assert portal.rotator("rotate", "--now", "--ignore-window").status == 0
