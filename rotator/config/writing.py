"""A first configuration as text: commented, and hardly a key in it that its default would do for."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rotator.config.location import example
from rotator.model import KeyringSettings, ProbeRoute, Site, User


@dataclass(frozen=True, slots=True)
class Draft:
    """What a first configuration says. `windows` as the file writes them; `claims` where they are not the usual ones."""

    keyring: KeyringSettings
    state: Path | None
    site: Site
    name: str
    prefix: str
    test_user: User
    windows: tuple[str, ...]
    claims: tuple[str, str] | None = None


def quoted(text: str) -> str:
    r"""A string of TOML: in single quotes where it has backslashes, so that 'CORP\alice' reads as people write it."""
    if "\\" in text and "'" not in text:
        return f"'{text}'"
    # TOML escapes quotes and backslashes as JSON does.
    return json.dumps(text, ensure_ascii=False)


def written(draft: Draft) -> str:
    """The text of the file."""
    return "\n".join((*_keyring(draft), *_site(draft.site), *_proxy(draft)))


def keyring_lines(keyring: KeyringSettings) -> Iterator[str]:
    """The keys of `[keyring]`."""
    yield f"backend = {quoted(keyring.backend)}"
    if keyring.path is not None:
        yield f"path = {quoted(str(keyring.path))}"
    if keyring.master_key is not None:
        yield f"master_key = {quoted(str(keyring.master_key))}"


def _keyring(draft: Draft) -> Iterator[str]:
    yield f"# Written by `rotator init`. Secrets never stand here. Every key and its default: {example()}"
    yield ""
    yield "# Where the private keys are. To another keyring: rotator keys migrate"
    yield "[keyring]"
    yield from keyring_lines(draft.keyring)
    yield ""
    if draft.state is not None:
        yield "# Journal and locks. Without it no key is lost."
        yield "[state]"
        yield f"path = {quoted(str(draft.state))}"
        yield ""


def _site(site: Site) -> Iterator[str]:
    yield f"[site.{site.name}]"
    yield f"qrs = {quoted(site.qrs)}"
    yield "# what the server's certificate must come from"
    yield f"root_ca = {quoted(str(site.root_ca))}"
    if site.server_name is not None:
        yield "# the name in that certificate, which is not the one in the URL"
        yield f"server_name = {quoted(site.server_name)}"
    if site.proxy_ca != str(site.root_ca):
        yield "# the same for the proxies, which show another certificate"
        yield f"proxy_ca = {quoted(site.proxy_ca)}"
    yield 'auth = "certificate"'
    yield ""
    access = site.certificate
    assert access is not None  # noqa: S101 - a draft has one
    yield "# Whoever has it may do everything: for rotator's account alone."
    yield f"[site.{site.name}.certificate]"
    for key, value in (("pfx", access.pfx), ("cert", access.cert), ("key", access.key), ("password", access.password)):
        if value is not None:
            yield f"{key} = {quoted(str(value))}"
    yield f"user = {quoted(str(access.user))}"
    yield ""
    if site.probe:
        yield "# Where a proxy is reached for test logins, if not at its node's host name and port."
        yield f"[site.{site.name}.probe]"
        yield from (f"{quoted(host)} = {_route(route)}" for host, route in site.probe.items())
        yield ""


def _route(route: ProbeRoute) -> str:
    if route.skip:
        return "{ skip = true }   # cannot be reached from here: reported as unverified, always"
    pairs = []
    if route.connect is not None:
        address, port = route.connect
        pairs.append(f"connect = {quoted(f'[{address}]:{port}' if ':' in address else f'{address}:{port}')}")
    if route.host is not None:
        pairs.append(f"host = {quoted(route.host)}")
    if route.ca is not None:
        pairs.append(f"ca = {quoted(route.ca)}")
    return f"{{ {', '.join(pairs)} }}"


def _proxy(draft: Draft) -> Iterator[str]:
    yield f"[proxy.{draft.name}]"
    yield f"site = {quoted(draft.site.name)}"
    yield f"prefix = {quoted(draft.prefix)}"
    if draft.claims is not None:
        yield f"user_id_claim = {quoted(draft.claims[0])}"
        yield f"user_directory_claim = {quoted(draft.claims[1])}"
    yield "# logs in for every test, and out again"
    yield f"test_user = {quoted(str(draft.test_user))}"
    yield ""
    yield f"[proxy.{draft.name}.rotation]"
    yield 'every = "30d"'
    if draft.windows:
        yield "# when the proxies may restart, which ends all sessions on them"
        yield f"window = [{', '.join(map(quoted, draft.windows))}]"
    else:
        yield "# No window: only people rotate, with `rotator rotate --now`. For unattended runs, e.g."
        yield '# window = ["SUN 02:00-05:00 Europe/Stockholm"]'
    yield ""
