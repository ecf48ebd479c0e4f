"""Two runs at once, on one host and on two."""

import json
import subprocess
from pathlib import Path

from sandbox_process import ROTATOR, Sandbox


def second_host(portal: Sandbox, name: str) -> Path:
    """Another rotator with a keyring and a state directory of its own, which has taken the current key in."""
    folder = portal.folder / name
    folder.mkdir()
    text = portal.config.read_text()
    for place in ("keys", "state"):
        text = text.replace(f'"{portal.folder}/{place}"', f'"{folder}/{place}"')
    config = folder / "rotator.toml"
    config.write_text(text)
    taken = folder / "taken.pem"
    assert portal.rotator("keys", "export", "portal", "--private", "--output", str(taken)).status == 0
    assert portal.rotator("adopt", "portal", "--key", str(taken), config=config).status == 0
    return config


def test_two_hosts_cannot_both_win_and_the_loser_leaves_nothing_behind(portal: Sandbox) -> None:
    other = second_host(portal, "other")
    kept = sorted(path.name for path in (other.parent / "keys").iterdir())
    portal.fault("slow=8@qrs:PUT")
    with subprocess.Popen(
        (*ROTATOR, "--config", str(other), "rotate", "--now", "--json"), stdout=subprocess.PIPE, text=True
    ) as loser:
        portal.wait_held(loser)
        won = portal.rotator("rotate", "--now", "--json").result
        told, _ = loser.communicate(timeout=60)
    result = json.loads(told)["results"][0]
    assert (loser.returncode, result["reason"]) == (4, "Drift")
    assert won["outcome"] == "rotated"
    assert portal.rotator("verify").status == 0
    assert portal.rotator("status", "--json").result["server_fingerprint"] == won["fingerprint"]
    assert [key["stage"] for key in portal.rotator("keys", "list", "--json", config=other).result["keys"]] == [
        "current"
    ]
    assert sorted(path.name for path in (other.parent / "keys").iterdir()) == kept
    assert portal.rotator("due", config=other).status == 1
    assert portal.control("GET", "/sessions") == []


def test_a_lock_that_is_held_names_its_owner_and_since_when(portal: Sandbox) -> None:
    portal.fault("slow=8@qrs:PUT")
    with subprocess.Popen(
        (*ROTATOR, "--config", str(portal.config), "rotate", "--now"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as owner:
        portal.wait_held(owner)
        held = portal.rotator("rotate", "--now", "--json")
        assert owner.wait(60) == 0
    assert (held.status, held.result["reason"]) == (3, "LockHeld")
    assert f"process {owner.pid}" in held.err
    assert "since 20" in held.err
