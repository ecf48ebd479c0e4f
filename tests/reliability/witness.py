"""What the server itself says, asked without any code of rotator: who logs in, and what it was sent."""

import subprocess
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import jwt
import requests
from sandbox_process import ROTATOR, Ended, Sandbox

from rotator.keys import PrivateKey


def run(sandbox: Sandbox, *arguments: str, prefix: Sequence[str] = ()) -> Ended:
    """Run rotator beginning with `prefix`, as under a limit or in another place."""
    command = (*prefix, *ROTATOR, "--config", str(sandbox.config), *arguments)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def held(sandbox: Sandbox, request: str, then: Callable[[int], object], command: Sequence[str]) -> Ended:
    """Run a command; while the sandbox holds back the first request that fits `request`, do `then`, given its process.

    `request` is the sandbox's SERVICE[:METHOD[:PATH]][#N].
    """
    sandbox.fault(f"slow=1.5@{request}")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if sandbox.held_or_ended(process):
        then(process.pid)
    out, err = process.communicate(timeout=120)
    return Ended(process.returncode, out, err)


def current_key(sandbox: Sandbox) -> bytes:
    """The private key that is current, exported into memory."""
    file = sandbox.folder / "exported.pem"
    file.unlink(missing_ok=True)
    ended = sandbox.rotator("keys", "export", "portal", "--private", "--output", str(file))
    assert ended.status == 0, ended.err
    key = file.read_bytes()
    file.unlink()
    return key


def logs_in(sandbox: Sandbox, key: bytes) -> bool:
    """Whether a token signed with this key logs in on every proxy, once those that are restarting are back."""
    return lets_in(sandbox, key) == {proxy["host"] for proxy in sandbox.ready["proxies"]}


def lets_in(sandbox: Sandbox, key: bytes) -> set[str]:
    """The proxies on which it logs in."""
    sandbox.control("GET", "/idle")
    now = int(time.time())
    claims = {"userId": "oracle", "userDirectory": "TEST", "iat": now - 60, "nbf": now - 60, "exp": now + 300}
    headers = {"Authorization": "Bearer " + jwt.encode(claims, key, algorithm="RS256")}
    hosts = set()
    for proxy in sandbox.ready["proxies"]:
        with requests.Session() as session:
            session.trust_env = False
            session.verify = str(sandbox.folder / "root.pem")
            url = f"{proxy['url'].replace(proxy['host'], 'localhost')}/portal/qps/user"
            if session.get(url, headers={**headers, "Host": proxy["host"]}).status_code == 200:
                hosts.add(proxy["host"])
            session.delete(url)
    return hosts


def paste(sandbox: Sandbox) -> bytes:
    """Somebody pastes the certificate of a key of their own in the QMC. Returns that private key."""
    key = PrivateKey.generate(2048)
    entity = sandbox.virtual_proxy()
    certificate = key.certificate("theirs", 100, datetime.now(UTC))
    sandbox.qrs("PUT", f"/qrs/virtualproxyconfig/{entity['id']}", {**entity, "jwtPublicKeyCertificate": certificate})
    return key.to_pem()


def puts(sandbox: Sandbox) -> int:
    """How many certificates the server was sent."""
    return len(sandbox.requests("qrs", "PUT"))


def assert_one_clear_error(ended: Ended, *causes: str) -> None:
    """One error and what to do about it, with one of `causes` in it, and no traceback."""
    said = [line for line in ended.err.splitlines() if line.startswith("rotator: error:")]
    assert len(said) == 1, ended.err
    assert "\nrotator: hint:" in "\n" + ended.err, ended.err
    assert "Traceback" not in ended.err
    assert "bug in rotator" not in ended.err
    assert any(cause in ended.err for cause in causes), ended.err
