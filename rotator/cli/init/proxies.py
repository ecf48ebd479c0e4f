"""The questions about the proxies of a site and the virtual proxy: what is there, and what can be reached from here."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from rotator import diagnosis
from rotator.cli.init.interview import Interview, missing, table_name
from rotator.cli.init.interview import user as named_user
from rotator.cli.init.site import Access, tell
from rotator.config import proxy_values, schedule, values
from rotator.config.checks import too_short
from rotator.config.load import probe_of
from rotator.config.values import Wrong
from rotator.diagnosis import Trial
from rotator.errors import RotatorError, ServerError, TlsError, UsageError
from rotator.model import (
    SYSTEM_CA,
    Json,
    ProbeRoute,
    ProxyService,
    ProxySpec,
    Ring,
    Rotation,
    Site,
    User,
    VirtualProxy,
    constant,
)
from rotator.planning.drift import check_manageable
from rotator.planning.provisioning import Surroundings, plan
from rotator.qlik import first_contact, routes
from rotator.report import text


USUAL_CLAIMS = ("userId", "userDirectory")
ANY, NONE = "any", "none"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The virtual proxy: `existing` where the prefix is taken already, `claims` where those are not the usual ones.

    `rights`: whether the user may create it, or change the one that is there.
    """

    name: str
    prefix: str
    test_user: User
    windows: tuple[str, ...]
    existing: VirtualProxy | None
    claims: tuple[str, str] | None
    rights: Trial


def reached(interview: Interview, access: Access, probes: Mapping[str, str]) -> Site:
    """The site with the authority of its proxies, and a way to each of them; `probes` are the flags by host name.

    Raises UsageError where one cannot be reached, and there is nobody to ask how.
    """
    site = replace(access.site, proxy_ca=_authority(interview, access))
    unknown = sorted(set(probes) - {proxy.host.lower() for proxy in access.proxies})
    if unknown:
        raise UsageError(
            f"--probe {unknown[0]}: the site has no such proxy",
            hint=f"it has: {', '.join(proxy.host for proxy in access.proxies)}",
        )
    found: dict[str, ProbeRoute] = {}
    failed: list[tuple[ProxyService, RotatorError]] = []
    for proxy in access.proxies:
        flag = f"--probe {proxy.host}"
        if proxy.host.lower() in probes:
            interview.given[flag] = probes[proxy.host.lower()]
        else:
            error = _refusal(site, proxy)
            if error is None:
                continue
            failed.append((proxy, error))
            if not interview.asking:
                continue
            for line in text.problems(error):
                interview.say(line)
        found[proxy.host.lower()] = interview.ask(
            flag,
            f"How is {proxy.host} reached",
            lambda answer, proxy=proxy: _way(answer, site, proxy),  # type: ignore[misc]
            explain="Test logins go to each proxy itself: https://NAME:PORT, ADDRESS:PORT, ADDRESS:PORT/NAME with the name in "
            "its certificate,\nor skip where it cannot be reached from here; it is then never tested.",
        )
    if failed and not interview.asking:
        raise _unreached(failed)
    _show(interview, access, replace(site, probe=MappingProxyType(found)))
    return replace(site, probe=MappingProxyType(found))


def _authority(interview: Interview, access: Access) -> str:
    """What the proxies' certificates come from: the site's own root, or that of a bought certificate."""
    if "--proxy-ca" not in interview.given and not any(_untrusted(access.site, proxy) for proxy in access.proxies):
        return access.site.proxy_ca
    return interview.ask(
        "--proxy-ca",
        "Root of the proxies' certificates",
        lambda answer: _trusted(answer, access),
        default=SYSTEM_CA,
        explain="The proxies show a certificate of another root, as a bought one is: a file, or system for the roots of this "
        "machine.",
    )


def _trusted(answer: str, access: Access) -> str:
    """An authority that the certificate of some proxy comes from. Raises TlsError."""
    ca = values.ca(answer, Path.cwd())
    errors = [_untrusted(replace(access.site, proxy_ca=ca), proxy) for proxy in access.proxies]
    if errors and all(errors):
        raise next(error for error in errors if error)
    return ca


def _untrusted(site: Site, proxy: ProxyService) -> TlsError | None:
    """Why the certificate of a proxy is not trusted, whatever its name; None also where it cannot be reached."""
    route = routes.to_proxy(site, proxy)
    try:
        if route is not None:
            first_contact.is_named(route)
    except TlsError as error:
        return error
    except ServerError:
        return None
    return None


def _refusal(site: Site, proxy: ProxyService) -> ServerError | None:
    """Why a proxy cannot be reached, None where it can, or is not to be."""
    route = routes.to_proxy(site, proxy)
    if route is None:
        return None
    try:
        first_contact.greet(route)
    except ServerError as error:
        return error
    return None


def _way(answer: str, site: Site, proxy: ProxyService) -> ProbeRoute:
    """How one proxy is reached, tried."""
    if answer == "skip":
        return ProbeRoute(skip=True)
    if "://" in answer:
        route = probe_of(values.url(answer, Path()))
    else:
        address, _, name = answer.partition("/")
        route = ProbeRoute(values.address(address, Path()), values.host(name or proxy.host, Path()))
    error = _refusal(replace(site, probe={proxy.host.lower(): route}), proxy)
    if error is not None:
        raise error
    return route


def _unreached(failed: list[tuple[ProxyService, RotatorError]]) -> UsageError:
    error = missing([f"--probe {proxy.host}=…" for proxy, _ in failed])
    error.message += "; " + "; ".join(cause.message for _, cause in failed)
    error.hint = (
        "say where it is reached, --probe HOST=https://NAME:PORT or HOST=ADDRESS:PORT, or that it cannot be reached from "
        "here: --probe HOST=skip"
    )
    return error


def _show(interview: Interview, access: Access, site: Site) -> None:
    rows = [[proxy.host, "central" if proxy.central else "", way_to(site, proxy)] for proxy in access.proxies]
    interview.say("", f"rotator: nodes: {', '.join(node.host for node in access.nodes)}")
    interview.say(text.table(("proxy", "", "test logins"), rows))


def way_to(site: Site, proxy: ProxyService) -> str:
    """How a proxy is reached for test logins, in a few words."""
    route = routes.to_proxy(site, proxy)
    return "skipped" if route is None else f"{route.address}:{route.port} as {route.name}"


def check_windows(interview: Interview, windows: tuple[str, ...]) -> None:
    """The flags, before anything is asked of the server; a wrong one is asked for again. Raises UsageError."""
    if windows:
        interview.given["--window"] = ", ".join(windows)
        interview.check("--window", lambda _: _windows(windows))


def virtual_proxy(interview: Interview, access: Access, windows: tuple[str, ...]) -> Chosen:
    """The virtual proxy to manage, and when; `windows` are the flags."""
    existing: list[VirtualProxy | None] = []

    def free_or_manageable(answer: str) -> str:
        prefix = proxy_values.prefix(answer, Path())
        existing[:] = [_found(access, prefix)]
        return prefix

    prefix = interview.ask(
        "--prefix",
        "Prefix of the virtual proxy",
        free_or_manageable,
        explain="The path word that customers' tokens log in at: https://PROXY/<prefix>/. A new one, or one that takes JWTs.",
    )
    there = existing[0]
    rights = diagnosis.rights(access.repository, prefix)
    tell(interview, rights)
    if there is not None:
        interview.say(f"rotator: there is such a virtual proxy: {there.description!r}")
    name = interview.ask(
        "--name", "What rotator calls it", table_name, default=prefix.replace(".", "-").replace("~", "-")
    )
    claims = claims_of(there)
    user = interview.ask(
        "--test-user",
        "User of the test logins",
        lambda answer: _test_user(named_user(interview, "--test-user", answer), claims or USUAL_CLAIMS),
        default=_likely_user(claims or USUAL_CLAIMS),
        explain="Logs in after every change, and out again, at no cost of a licence. Nobody else should use it; it need not exist.",
    )
    window = interview.ask(
        "--window",
        "When may the key be rotated",
        lambda answer: _windows(windows if answer == ", ".join(windows) else (answer,)),
        explain="A rotation restarts the proxies, and ends all sessions on them. A window as SUN 02:00-05:00 Europe/Stockholm,\n"
        "any (whenever it is due), or none (never by itself: people rotate).",
    )
    return Chosen(name, prefix, user, window, there, claims, rights)


def _found(access: Access, prefix: str) -> VirtualProxy | None:
    """The virtual proxy with this prefix, if there is one that rotator may manage. Raises Refused."""
    there = access.repository.find(prefix)
    if there is not None:
        check_manageable(prefix, there)
        return there
    spec = ProxySpec(
        name=prefix,
        site=access.site.name,
        prefix=prefix,
        description=prefix,
        session_cookie=f"X-Qlik-Session-{prefix}",
        user_id_claim=USUAL_CLAIMS[0],
        user_directory_claim=USUAL_CLAIMS[1],
        test_user=User("ROTATOR", "probe"),
    )
    plan(spec, Ring(), None, Surroundings(access.virtual_proxies, access.proxies, access.nodes), None)
    return None


def claims_of(there: VirtualProxy | None) -> tuple[str, str] | None:
    """The claims of a virtual proxy that is there, where they are not the usual ones."""
    if there is None:
        return None
    found = tuple(
        _claim(there.entity.get(field)) or usual
        for field, usual in zip(("jwtAttributeUserId", "jwtAttributeUserDirectory"), USUAL_CLAIMS, strict=True)
    )
    identity, directory = found
    return None if found == USUAL_CLAIMS or identity == directory else (identity, directory)


def _claim(said: Json) -> str | None:
    """What the server says, where the configuration could hold it: there may be none, or one that nobody can use."""
    try:
        return proxy_values.claim(said, Path())
    except Wrong:
        return None


def _likely_user(claims: tuple[str, str]) -> str:
    identity, directory = map(constant, claims)
    return f"{directory or 'ROTATOR'}\\{identity or 'probe'}"


def _test_user(user: User, claims: tuple[str, str]) -> User:
    for fixed, part in zip(map(constant, claims), (user.id, user.directory), strict=True):
        if fixed is not None and fixed.casefold() != part.casefold():
            raise Wrong(f"must be as {_likely_user(claims)}: the virtual proxy makes {values.shown(fixed)} constant")
    return user


def _windows(answers: tuple[str, ...]) -> tuple[str, ...]:
    if answers == (NONE,):
        return ()
    short = too_short(schedule.windows(list(answers), Path()), Rotation().settle_timeout)
    if short is not None:
        raise Wrong(short)
    return answers
