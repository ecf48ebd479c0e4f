"""The client of `test_hostile_server.py`: rotator's adapters in a process of its own, whose memory and output are watched.

It reads the names of operations, runs each against the server whose port it was given, and tells what came out.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from hostile import LIMIT, TOKEN
from qlik_answers import PREFIX, USER, VIRTUAL_PROXY


def _operations() -> dict[str, Callable[[Any], Any]]:
    """Operations by name, each called with the client."""

    def through(door: str) -> dict[str, Callable[[Any], Any]]:
        return {
            f"{door}: about": lambda c: c.qrs(door).build_version(),
            f"{door}: virtual proxies": lambda c: c.qrs(door).virtual_proxies(),
            f"{door}: one virtual proxy": lambda c: c.qrs(door).virtual_proxy(VIRTUAL_PROXY["id"]),
            f"{door}: find": lambda c: c.qrs(door).find(PREFIX),
            f"{door}: create": lambda c: c.qrs(door).create({"prefix": PREFIX}),
            f"{door}: update": lambda c: c.qrs(door).update(VIRTUAL_PROXY),
            f"{door}: proxies": lambda c: c.qrs(door).proxies(),
            f"{door}: nodes": lambda c: c.qrs(door).nodes(),
            f"{door}: privileges": lambda c: c.qrs(door).privileges(),
            f"{door}: link": lambda c: c.qrs(door).link(c.proxy, "v"),
            f"{door}: look": lambda c: c.look(door),
            f"{door}: what is decided": lambda c: c.decided(door),
        }

    return {
        **through("certificate"),
        **through("jwt"),
        "login": lambda c: c.login(),
        "login again": lambda c: [c.login(), c.login()],
        "login where the server says": lambda c: c.login_there(),
        "sessions": lambda c: c.sessions(),
        "sessions there": lambda c: c.sessions(),
        "what is decided of a site": lambda c: c.decided_of_site(),
    }


OPERATIONS: Final = _operations()
DECIDING: Final = tuple(name for name in OPERATIONS if "what is decided" in name)
"""Those behind which the most of rotator's code is."""
SECRETS: Final = {"a token": "eyJ", "the token": TOKEN[60:100], "a private key": "PRIVATE KEY"}
"""What is looked for in all that comes out."""


class Client:
    """rotator's adapters for QRS, test logins and sessions, all leading to one server."""

    def __init__(self, port: int, root: str, folder: Path) -> None:
        from rotator.model import Auth, ProbeRoute, ProxyService, Site, User, VirtualProxy

        self._port, self._root = port, root
        self.user = User(*USER)
        self.site = Site(
            "prod",
            f"https://localhost:{port}",
            Path(root),
            root,
            Auth.CERTIFICATE,
            probe={"central.localhost": ProbeRoute(connect=("localhost", port))},
        )
        self.proxy = ProxyService("p", "central.localhost", True, 443, port, frozenset({VIRTUAL_PROXY["id"]}), "")  # type: ignore[arg-type]
        self.virtual_proxy = VirtualProxy(
            id="v", prefix=PREFIX, description="", session_cookie="", method=4, default=False, modified="",
            certificate="", audience="", fingerprint=None, not_after=None, entity={},
        )  # fmt: skip
        self._folder = folder

    def _transport(self) -> Any:
        from rotator.qlik import routes, tls
        from rotator.qlik.transport import Transport

        return Transport(
            routes.Route("127.0.0.1", self._port, "localhost", "localhost", self._root), tls.trusting(self._root)
        )

    def qrs(self, door: str) -> Any:
        from rotator.qlik.doors import CertificateDoor, JwtDoor
        from rotator.qlik.qrs import Qrs

        if door == "jwt":
            return Qrs(JwtDoor(self._transport(), f"https://localhost:{self._port}/{PREFIX}", lambda: [lambda: TOKEN]))
        return Qrs(CertificateDoor(self._transport(), self.user))

    def look(self, door: str) -> Any:
        """What a rotation looks at first, and what decides about it."""
        from rotator.planning.entity import baseline_of, with_certificate

        qrs = self.qrs(door)
        found = qrs.find(PREFIX)
        if found is None:
            return None
        return [json.dumps(with_certificate(found, "PEM")), baseline_of(found), qrs.proxies(), qrs.clock_offset()]

    def decided(self, door: str) -> Any:
        """What the verbs make of a virtual proxy."""
        from hostile_decisions import of_virtual_proxy

        return of_virtual_proxy(self.qrs(door).find(PREFIX))

    def decided_of_site(self) -> Any:
        """What the verbs make of all else that a site holds."""
        from hostile_decisions import of_surroundings

        qrs = self.qrs("certificate")
        return of_surroundings(qrs.virtual_proxies(), qrs.proxies(), qrs.nodes(), qrs.privileges())

    def login(self) -> Any:
        """A test login as a rotation makes it: with a token of its own, timed by the server's clock."""
        from values import spec  # of the folder above

        from rotator.qlik.login import ProxyLogins
        from rotator.verification import TestLogins

        class Clock:
            def now(self) -> datetime:
                return datetime.now(UTC)

            def monotonic(self) -> float:
                return 0.0

            def sleep(self, seconds: float) -> None:
                raise AssertionError("nobody asked to wait")

        class Key:
            def token(self, claims: Any, algorithm: Any) -> str:
                horizon = datetime.now(UTC).timestamp() + 3 * 86_400
                assert claims["exp"] < horizon, "the server's clock made the token live for ever"
                return TOKEN

        logins = ProxyLogins(self.site)
        tests = TestLogins(spec(test_user=self.user), logins, Clock())
        key: Any = Key()
        first = tests.accepted("current", key, self.virtual_proxy, [self.proxy])
        return [
            first,
            tests.refused("previous", key, self.virtual_proxy, [self.proxy]),
            logins.clock_offset(self.proxy),
        ]

    def login_there(self) -> Any:
        """Test logins on the proxies that the server names, wherever that is."""
        from rotator.qlik.login import ProxyLogins

        logins = ProxyLogins(self.site)
        found = self.qrs("certificate").proxies()
        return [logins.attempt(proxy, self.virtual_proxy, TOKEN, self.user) for proxy in found]

    def sessions(self) -> Any:
        from rotator.qlik.doors import CertificateDoor
        from rotator.qlik.sessions import ProxySessions

        def door(_: Any) -> CertificateDoor:
            return CertificateDoor(self._transport(), self.user)

        return ProxySessions(self.qrs("certificate"), door).count(self.proxy)


def _peak() -> int:
    """MB that this process ever took. `getrusage` would count what its parent took before it began."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) // 1024


def _described(result: Any) -> dict[str, Any]:
    """A result to the test: what is wrong with the whole of it, and its beginning for a person."""
    whole, details = repr(result), list(_details(result))
    return {
        "result": re.sub(r"\s+", " ", whole)[:200],
        # A value holds what the server said, whatever it looks like; of ours there must be nothing in it.
        "secrets": [name for name, secret in SECRETS.items() if any(secret in detail for detail in details)]
        + ["the token in a value"] * (SECRETS["the token"] in whole),
        "unprintable": any(not detail.isprintable() for detail in details),
        "longest": max(map(len, details), default=0),
    }


def _details(result: Any) -> Iterator[str]:
    """The text of every verdict, check, finding and error in a result, as it is: `repr` would make anything printable."""
    if isinstance(result, list | tuple | frozenset):
        for item in result:
            yield from _details(item)
    elif hasattr(result, "detail"):
        yield result.detail
    elif hasattr(result, "message"):
        yield from filter(None, (result.message, result.hint))


def main() -> None:
    """`PORT ROOT FOLDER`; operations on standard input, one JSON line each on standard output."""
    import time

    from rotator.errors import RotatorError
    from rotator.qlik import login, transport

    defaults = transport.Transport.exchange.__kwdefaults__
    assert defaults is not None
    defaults["limit"] = LIMIT
    login.LOGOUT_LIMIT = LIMIT  # type: ignore[misc]
    client = Client(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
    for line in sys.stdin:
        began = time.monotonic()
        told: dict[str, Any] = {}
        try:
            told |= _described(OPERATIONS[line.strip()](client))
        except RotatorError as error:
            told["error"] = [error.reason, error.message, error.hint]
        except BaseException as error:  # noqa: BLE001 - which is what the test is about
            told["bug"] = repr(error)[:2000]
        told["seconds"] = time.monotonic() - began
        told["peak"] = _peak()
        print(json.dumps(told), flush=True)  # noqa: T201 - to the test


if __name__ == "__main__":
    main()
