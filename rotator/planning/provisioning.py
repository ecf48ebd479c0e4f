"""What create-proxy changes: desired against observed, field by field, pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rotator.errors import Refused
from rotator.model import JWT_METHOD, Json, Node, ProxyService, ProxySpec, Ring, Stage, VirtualProxy
from rotator.planning.drift import check_manageable, problem
from rotator.planning.entity import CERTIFICATE_FIELD, ids
from rotator.planning.recovery import Finding, Found


ALL: Final = "*"
_SHORT: Final = 100
_WORDS: Final = re.compile(r"([A-Za-z0-9]+([_-]+[A-Za-z0-9]+)*)?")


@dataclass(frozen=True, slots=True)
class Change:
    """One field of the virtual proxy: what it is and what it becomes, as JSON."""

    field: str
    before: Json
    after: Json


@dataclass(frozen=True, slots=True)
class Plan:
    """What create-proxy would do to one virtual proxy; nothing at all where it is `empty`.

    `create` holds the whole body to POST, without its certificate. `changes` are the fields to PUT on one that is
    there. `links` are the proxies to link it to. `key` says what happens to its certificate.
    """

    create: Mapping[str, Json] | None
    changes: tuple[Change, ...]
    links: tuple[ProxyService, ...]
    key: "KeyPlan"

    @property
    def empty(self) -> bool:
        """Whether everything is as desired."""
        return self.create is None and not self.changes and not self.links and self.key is KEEP


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """What happens to the certificate: `what` in a few words."""

    what: str


KEEP: Final = KeyPlan("is kept")
FIRST: Final = KeyPlan("a first key is made")
RESTORE: Final = KeyPlan("the certificate of the current key is put back")
RESUME: Final = KeyPlan("an earlier run is finished")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a site holds: every virtual proxy, every proxy, every server node."""

    virtual_proxies: tuple[VirtualProxy, ...]
    proxies: tuple[ProxyService, ...]
    nodes: tuple[Node, ...]


def plan(spec: ProxySpec, ring: Ring, observed: VirtualProxy | None, around: Surroundings, found: Found | None) -> Plan:
    """What has to change so that the virtual proxy is as the configuration desires it; `observed` is the one there.

    `found` is how its key stands, None where it is not there. Raises Drift and Refused where rotator must not go on.
    """
    _check_names(spec, observed, around.virtual_proxies)
    balanced = _matching(spec, "nodes", spec.nodes, around.nodes)
    wanted = _wanted_links(spec, around.proxies)
    if observed is None or found is None:
        key = FIRST if ring.at(Stage.CURRENT) is None else RESTORE
        return Plan(create=_body(spec, balanced), changes=(), links=wanted, key=key)
    check_manageable(spec.name, observed)
    return Plan(
        create=None,
        changes=_changes(spec, observed, balanced),
        links=tuple(proxy for proxy in wanted if observed.id not in proxy.virtual_proxies),
        key=_key_plan(spec, ring, observed, found),
    )


def _key_plan(spec: ProxySpec, ring: Ring, observed: VirtualProxy, found: Found) -> KeyPlan:
    plans = {
        Finding.SETTLED: KEEP,
        Finding.UNFINISHED: RESUME,
        Finding.NOTHING: FIRST,
        Finding.NO_CERTIFICATE: RESTORE,
    }
    # A certificate that nobody can read may be one that the server can.
    if found.finding not in plans or (plans[found.finding] in (FIRST, RESTORE) and observed.certificate.strip()):
        raise problem(spec.name, ring, observed, found)
    return plans[found.finding]


def _check_names(spec: ProxySpec, observed: VirtualProxy | None, others: Sequence[VirtualProxy]) -> None:
    """Cookie and description must be free, whatever their case: Qlik's answer to a duplicate is not documented."""
    own = observed.id if observed else None
    for other in others:
        if other.id == own:
            continue
        taken = None
        if _manages(spec, observed, "session_cookie") and _same(other.session_cookie, spec.session_cookie):
            taken = ("session_cookie", "session cookie header name", spec.session_cookie)
        elif _manages(spec, observed, "description") and _same(other.description, spec.description):
            taken = ("description", "description", spec.description)
        if taken:
            key, what, value = taken
            raise Refused(
                f"{spec.name}: the {what} {value!r} is taken by the virtual proxy with {_which(other)}",
                hint=f"choose another `{key}` in [proxy.{spec.name}]",
            )


def _which(other: VirtualProxy) -> str:
    """By its prefix, or by its id where the prefix could be markup in a notice, or fill it."""
    plain = len(other.prefix) <= _SHORT and _WORDS.fullmatch(other.prefix)
    return f"the prefix {other.prefix!r}" if plain else f"the id {other.id}"


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def _manages(spec: ProxySpec, observed: VirtualProxy | None, key: str) -> bool:
    """Defaults are for what rotator creates; on a virtual proxy that was there only what the file names is managed."""
    return observed is None or key in spec.named


def _matching(spec: ProxySpec, key: str, wanted: Sequence[str], nodes: Sequence[Node]) -> tuple[Node, ...]:
    if ALL in wanted:
        return tuple(nodes)
    by_host = {node.host.casefold(): node for node in nodes}
    missing = [host for host in wanted if host.casefold() not in by_host]
    if missing:
        raise _no_such_host(spec, key, missing, [node.host for node in nodes])
    return tuple(by_host[host.casefold()] for host in wanted)


def _wanted_links(spec: ProxySpec, proxies: Sequence[ProxyService]) -> tuple[ProxyService, ...]:
    """The named proxies and always the central one: a prefix that is not linked there is answered by none."""
    if ALL in spec.proxies:
        return tuple(proxies)
    hosts = {proxy.host.casefold() for proxy in proxies}
    missing = [host for host in spec.proxies if host.casefold() not in hosts]
    if missing:
        raise _no_such_host(spec, "proxies", missing, [proxy.host for proxy in proxies])
    named = {host.casefold() for host in spec.proxies}
    return tuple(proxy for proxy in proxies if proxy.central or proxy.host.casefold() in named)


def _no_such_host(spec: ProxySpec, key: str, missing: Sequence[str], known: Sequence[str]) -> Refused:
    return Refused(
        f"{spec.name}: {key} names {', '.join(missing)}, which the site does not have",
        hint=f"the site has: {', '.join(known) or 'none that this user may see'}; mend `{key}` in [proxy.{spec.name}]",
    )


def _body(spec: ProxySpec, nodes: Sequence[Node]) -> dict[str, Json]:
    """The entity to create, without its certificate."""
    return {
        "prefix": spec.prefix,
        "description": spec.description,
        "sessionCookieHeaderName": spec.session_cookie,
        "authenticationMethod": JWT_METHOD,
        "anonymousAccessMode": 0,
        "windowsAuthenticationEnabledDevicePattern": "Windows",
        "sessionInactivityTimeout": _minutes(spec),
        "loadBalancingServerNodes": [{"id": node.id} for node in nodes],
        "websocketCrossOriginWhiteList": list(spec.host_allow_list),
        "additionalResponseHeaders": "\n".join(spec.additional_response_headers),
        "jwtAttributeUserId": spec.user_id_claim,
        "jwtAttributeUserDirectory": spec.user_directory_claim,
        "jwtAudience": spec.audience,
        "jwtAttributeMap": [_mapping(item.claim, item.sense, mandatory=item.mandatory) for item in spec.attributes],
    }


def _changes(spec: ProxySpec, observed: VirtualProxy, nodes: Sequence[Node]) -> tuple[Change, ...]:
    """The fields that the configuration names and that differ. Lists are added to, never cut."""
    entity = observed.entity
    scalars: dict[str, tuple[str, Json]] = {
        "description": ("description", spec.description),
        "session_cookie": ("sessionCookieHeaderName", spec.session_cookie),
        "session_inactivity_timeout": ("sessionInactivityTimeout", _minutes(spec)),
        "user_id_claim": ("jwtAttributeUserId", spec.user_id_claim),
        "user_directory_claim": ("jwtAttributeUserDirectory", spec.user_directory_claim),
        "audience": ("jwtAudience", spec.audience),
    }
    desired: dict[str, Json] = {field: value for key, (field, value) in scalars.items() if key in spec.named}
    if "nodes" in spec.named or not _items(entity, "loadBalancingServerNodes"):
        desired["loadBalancingServerNodes"] = _added_nodes(entity, nodes)
    if "host_allow_list" in spec.named:
        desired["websocketCrossOriginWhiteList"] = _added_texts(entity, spec.host_allow_list)
    if "additional_response_headers" in spec.named:
        desired["additionalResponseHeaders"] = _added_headers(entity, spec.additional_response_headers)
    if "attributes" in spec.named:
        desired["jwtAttributeMap"] = _added_attributes(entity, spec)
    return tuple(
        Change(field, entity.get(field), value)
        for field, value in desired.items()
        if (entity.get(field) or "") != (value or "")
    )


def _items(entity: Mapping[str, Json], field: str) -> list[Json]:
    items = entity.get(field)
    return list(items) if isinstance(items, list) else []


def _added_nodes(entity: Mapping[str, Json], nodes: Sequence[Node]) -> list[Json]:
    there = _items(entity, "loadBalancingServerNodes")
    known = ids(entity, "loadBalancingServerNodes")
    added: list[Json] = [{"id": node.id} for node in nodes if node.id not in known]
    return there + added


def _added_texts(entity: Mapping[str, Json], texts: Sequence[str]) -> list[Json]:
    there = _items(entity, "websocketCrossOriginWhiteList")
    known = {item.casefold() for item in there if isinstance(item, str)}
    return [*there, *(text for text in texts if text.casefold() not in known)]


def _added_headers(entity: Mapping[str, Json], headers: Sequence[str]) -> Json:
    """One text of `Name: value` lines; a header that is named replaces the line of its name."""
    text = entity.get("additionalResponseHeaders")
    lines = text.splitlines() if isinstance(text, str) else []
    wanted = {_header_name(line): line for line in headers}
    kept = [wanted.pop(_header_name(line), line) for line in lines]
    return "\n".join([*kept, *wanted.values()]) if wanted or kept != lines else text


def _header_name(line: str) -> str:
    return line.partition(":")[0].strip().casefold()


def _added_attributes(entity: Mapping[str, Json], spec: ProxySpec) -> list[Json]:
    result: list[Json] = _items(entity, "jwtAttributeMap")
    for wanted in spec.attributes:
        mapping = _mapping(wanted.claim, wanted.sense, mandatory=wanted.mandatory)
        for index, item in enumerate(result):
            same = {"jwtAttribute": wanted.claim, "senseAttribute": wanted.sense}
            if isinstance(item, dict) and same.items() <= item.items():
                result[index] = {**item, **mapping}
                break
        else:
            result.append(mapping)
    return result


def _mapping(claim: str, sense: str, *, mandatory: bool) -> dict[str, Json]:
    return {"senseAttribute": sense, "jwtAttribute": claim, "isMandatory": mandatory}


def _minutes(spec: ProxySpec) -> int:
    return int(spec.session_inactivity_timeout.total_seconds() // 60)


def applied(changes: Sequence[Change], entity: Mapping[str, Json]) -> dict[str, Json]:
    """The whole entity with the changes made."""
    return {**entity, **{change.field: change.after for change in changes}}


def described(plan: Plan) -> list[dict[str, Json]]:
    """The plan as rows of field, from and to, for people and for scripts."""
    rows: list[dict[str, Json]] = []
    if plan.create is not None:
        rows += [{"field": field, "from": None, "to": value} for field, value in plan.create.items()]
    rows += [{"field": change.field, "from": change.before, "to": change.after} for change in plan.changes]
    if plan.key is not KEEP:
        rows.append({"field": CERTIFICATE_FIELD, "from": None, "to": plan.key.what})
    rows += [{"field": "proxy", "from": None, "to": proxy.host} for proxy in plan.links]
    return rows
