"""Faults to inject: what happens, to which requests, and to which of those."""

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final


KINDS: Final[dict[str, tuple[str, bool]]] = {
    "refuse": ("refuse connections for SECONDS; @HOST names a proxy, @qrs the repository", True),
    "reset": ("cut the connection before anything is done", False),
    "lost": ("apply the request, cut the connection in place of the answer", False),
    "late": ("cut the connection, apply the request SECONDS later", True),
    "status": ("answer with this status, nothing is done", True),
    "slow": ("wait SECONDS before the answer", True),
    "html": ("apply the request, answer 200 with a web page", False),
    "truncate": ("apply the request, end the answer in its middle", False),
    "oversize": ("answer with a body of so many MB", True),
    "redirect": ("answer 302 to this URL", True),
    "conflict": ("answer 409; of PUT requests to QRS unless others are named", False),
    "stuck": ("the proxy HOST never applies a change", True),
    "cold": ("the first answer of each proxy after its start takes SECONDS", True),
}
"""Each kind with its meaning, and whether it takes an argument."""
STANDING: Final = frozenset({"refuse", "stuck", "cold"})
"""Kinds that are states, not events of one request."""
GRAMMAR: Final = "KIND[=ARG][@SERVICE[:METHOD[:PATH]]][#N]"
_FORM: Final = re.compile(r"(?P<kind>[a-z]+)(=(?P<arg>[^@#]+))?(@(?P<target>[^#]+))?(#(?P<nth>\d+|\*))?")


@dataclass(slots=True)
class Fault:
    """`service` is qrs, qps, proxy, a host name, or `*`; `nth` counts matching requests from 1, 0 means each of them."""

    text: str
    kind: str
    arg: str
    service: str = "*"
    method: str = "*"
    path: str = "*"
    nth: int = 1
    seen: int = field(default=0)

    def strikes(self, service: str, host: str, method: str, path: str) -> bool:
        """Whether this request is the one; every match is counted."""
        matches = self.service in ("*", service, host) and self.method in ("*", method) and fnmatchcase(path, self.path)
        self.seen += matches
        return matches and self.nth in (0, self.seen)


def parse(text: str) -> Fault:
    """`KIND[=ARG][@SERVICE[:METHOD[:PATH]]][#N]`, N a number or `*` for each. Raises ValueError."""
    match = _FORM.fullmatch(text)
    if not match or match["kind"] not in KINDS:
        raise ValueError(f"--fault {text}: must be {GRAMMAR}; kinds are {', '.join(KINDS)}")
    kind, arg = match["kind"], match["arg"] or ""
    if bool(arg) is not KINDS[kind][1]:
        raise ValueError(f"--fault {text}: {kind} {'needs an argument, as' if KINDS[kind][1] else 'takes no'} =ARG")
    if kind in ("refuse", "late", "status", "slow", "oversize", "cold") and not re.fullmatch(r"\d+(\.\d+)?", arg):
        raise ValueError(f"--fault {text}: {kind} needs a number")
    default = "qrs:PUT" if kind in ("conflict", "lost", "late") else "*"
    service, method, path = [*(match["target"] or default).split(":", 2), "*", "*"][:3]
    nth = {None: 1, "*": 0}.get(match["nth"])
    return Fault(
        text, kind, arg, service, method.upper() if method else "*", path, int(match["nth"]) if nth is None else nth
    )


class Faults:
    """Those in force."""

    def __init__(self, *texts: str) -> None:
        self.all = [parse(text) for text in texts]

    def add(self, text: str) -> Fault:
        """One more. Raises ValueError."""
        fault = parse(text)
        self.all.append(fault)
        return fault

    def striking(self, service: str, host: str, method: str, path: str) -> Fault | None:
        """The first fault that strikes this request; the others count it all the same."""
        struck = [
            fault for fault in self.all if fault.kind not in STANDING and fault.strikes(service, host, method, path)
        ]
        return struck[0] if struck else None

    def standing(self, kind: str, host: str = "") -> float | str | None:
        """The argument of a standing fault: for `stuck` the host, for `cold` the seconds."""
        for fault in self.all:
            if fault.kind == kind and (kind != "stuck" or fault.arg == host):
                return fault.arg if kind == "stuck" else float(fault.arg)
        return None


def listing() -> str:
    """Every kind with its meaning, for the help."""
    return "\n".join(f"{kind}{'=ARG' if needs else ''}: {meaning}" for kind, (meaning, needs) in KINDS.items())
