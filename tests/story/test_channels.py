"""What each channel of notices is given, what it may be, and how it fails."""

import json
import os
import subprocess
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from channels import Channels, executable
from sandbox_process import Sandbox
from scripted import Scripted, answering


def private_exponent(pem: bytes) -> int:
    """The private exponent."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    loaded = load_pem_private_key(pem, None)
    assert isinstance(loaded, RSAPrivateKey)
    return loaded.private_numbers().d


def test_nothing_secret_is_in_what_is_sent(everywhere: Channels) -> None:
    portal = everywhere.sandbox
    key = portal.folder / "taken.pem"
    assert portal.rotator("rotate", "--prepare").status == 0
    exported = portal.rotator("keys", "export", "portal", "--private", "--stage", "pending", "--output", str(key))
    assert exported.status == 0
    portal.fault("stuck=rim1.localhost")
    failed = portal.rotator("-v", "rotate", "--now")
    assert failed.status == 1
    portal.control("DELETE", "/faults")
    everywhere.hook("99-bad", "exit 1")
    ended = portal.rotator("-v", "rotate", "--now")
    assert ended.status == 5
    sent = [json.dumps(everywhere.posted).encode()]
    sent += [path.read_bytes() for path in everywhere.folder.glob("*") if path.name.startswith(("hook.", "mail."))]
    assert len(sent) == 5
    exponent = private_exponent(key.read_bytes())
    needles = [line for line in key.read_bytes().splitlines() if len(line) > 40] + [
        str(exponent).encode(),
        f"{exponent:x}".encode(),
    ]
    everything = b"".join(sent)
    assert [needle for needle in [*needles, b"eyJ", b"PRIVATE", b"SECRET"] if needle in everything] == []
    # The webhook's URL is in no output and in no file of the state.
    said = (failed.out + failed.err + ended.out + ended.err).encode()
    state = b"".join(path.read_bytes() for path in (portal.folder / "state").rglob("*") if path.is_file())
    assert b"SECRET" not in said + state
    assert b"POST" in said


def test_a_test_notice_shows_what_every_channel_says(everywhere: Channels) -> None:
    portal = everywhere.sandbox
    shown = portal.rotator("notify", "--test", "--json")
    assert shown.status == 0, shown.err
    assert [(row["channel"], row["outcome"]) for row in shown.json["results"]] == [
        ("webhook", "delivered"),
        ("mail", "delivered"),
        ("hook 10-note", "delivered"),
    ]
    assert everywhere.hooked[0]["ROTATOR_EVENT"] == "test"
    everywhere.sendmail.unlink()
    everywhere.hook("30-off", "exit 0").chmod(0o644)
    executable(everywhere.hooks / "README", "exit 1")
    executable(everywhere.hooks / "10-note~", "exit 1")
    shown = portal.rotator("notify", "--test")
    assert shown.status == 5
    told = {line.split("  ")[0]: line for line in shown.out.splitlines()}
    assert "delivered" in told["webhook"]
    assert "No such file or directory" in told["mail"]
    assert "is not executable: chmod +x" in told["hook 30-off"]
    assert len(told) == 5


@pytest.mark.parametrize(
    ("what", "mode", "says"),
    [
        ("hook", 0o777, "can be changed by others (mode 0777)"),
        ("folder", 0o775, "can be changed by others (mode 0775)"),
    ],
)
def test_what_others_can_write_to_is_not_run(hooked: Channels, what: str, mode: int, says: str) -> None:
    path = hooked.hooks if what == "folder" else hooked.hooks / "10-note"
    path.chmod(mode)
    shown = hooked.sandbox.rotator("notify", "--test")
    assert (shown.status, hooked.hooked) == (5, [])
    assert says in shown.out
    assert f"chmod go-w {path}" in shown.out


def test_what_belongs_to_another_account_is_not_run(hooked: Channels) -> None:
    if os.geteuid() == 0:
        os.chown(hooked.hooks / "10-note", 65534, 65534)
    else:
        (hooked.hooks / "10-note").unlink()
        (hooked.hooks / "10-note").symlink_to("/proc/1/exe")
    shown = hooked.sandbox.rotator("notify", "--test")
    assert (shown.status, hooked.hooked) == (5, [])


def test_a_hook_that_never_ends_is_stopped_with_all_that_it_started(tmp_path: Path) -> None:
    from rotator import executables

    started = tmp_path / "pid"
    hook = executable(tmp_path / "hook", f"sleep 1000 & echo $! > {started}; wait")
    with pytest.raises(executables.Failed, match="did not end within 1 s and was stopped"):
        executables.run([hook], {}, limit=1)
    state = subprocess.run(("ps", "-o", "stat=", "-p", started.read_text().strip()), capture_output=True, text=True)
    assert state.stdout.strip()[:1] in ("", "Z")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (answering(500, b"no"), "does not take it (status 500)"),
        (answering(302, b"", Location="https://localhost:1/"), "redirects, which is not followed (status 302)"),
        (answering(404, b"x" * 2_000_000), "more than"),
    ],
)
def test_a_webhook_that_does_not_take_it_is_told_without_its_url(portal: Sandbox, answer: object, says: str) -> None:
    channels = Channels(portal)
    with Scripted(answer, channels.folder) as server:  # type: ignore[arg-type]
        channels.configure(
            f'webhook = "https://localhost:{server.port}/SECRET?SECRET"', f'webhook_ca = "{server.root}"'
        )
        shown = portal.rotator("-v", "notify", "--test")
        assert len(server.seen) == 1
    assert shown.status == 5
    assert says in shown.out
    assert "SECRET" not in shown.out + shown.err


def test_a_webhook_with_a_broken_header_is_not_quoted_by_any_library(portal: Sandbox) -> None:
    def broken(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nno header at all\r\nContent-Length: 0\r\n\r\n")
        handler.close_connection = True

    channels = Channels(portal)
    with Scripted(broken, channels.folder) as server:
        channels.configure(
            f'webhook = "https://localhost:{server.port}/SECRET?SECRET"', f'webhook_ca = "{server.root}"'
        )
        shown = portal.rotator("-v", "notify", "--test")
        assert len(server.seen) == 1
    assert "SECRET" not in shown.out + shown.err
    assert "Traceback" not in shown.err


def test_a_webhook_is_verified_against_its_own_authorities(portal: Sandbox) -> None:
    channels = Channels(portal)
    with Scripted(channels.script, channels.folder) as server:
        channels.configure(f'webhook = "https://localhost:{server.port}/x"', f'webhook_ca = "{portal.folder}/root.pem"')
        shown = portal.rotator("notify", "--test")
    assert (shown.status, channels.posted) == (5, [])
    assert "is not trusted" in shown.out


def test_without_a_channel_a_test_is_refused_and_a_delivery_is_nothing(portal: Sandbox) -> None:
    refused = portal.rotator("notify", "--test")
    assert refused.status == 78
    assert "no channel is configured" in refused.err
    assert portal.rotator("notify").status == 0
    assert portal.rotator("notify", "--unit", "x.service").status == 0
    assert portal.rotator("notify", "--test", "--unit", "x").status == 2
