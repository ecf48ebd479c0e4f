"""rotator doctor."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from rotator.cli.options import AsJson, Names, SiteName
from rotator.cli.session import Session
from rotator.errors import ExitStatus, RotatorError
from rotator.model import Outcome, ProxySpec, Result, Site
from rotator.report import text


if TYPE_CHECKING:
    from rotator.diagnosis import Finding


def doctor(context: typer.Context, names: Names = None, site: SiteName = None, as_json: AsJson = False) -> None:
    """Try everything that has to work: configuration, keyring, TLS, credentials, rights, clocks, links, logins."""
    session: Session = context.obj
    specs = session.specs(names, site)
    results = [_result(finding) for finding in _findings(session, specs)]
    if not as_json:
        rows = [[result.reason, result.name, str(result.extra["health"]), result.message] for result in results]
        typer.echo(text.table(("check", "of", "result", "detail"), rows))
        for result in results:
            if result.hint:
                typer.echo(f"rotator: hint: {result.reason} {result.name}: {result.hint}", err=True)
    session.finish(results, as_json=as_json, show=lambda _: "")


def _findings(session: Session, specs: tuple[ProxySpec, ...]) -> "Iterator[Finding]":
    """Every finding, in the order in which they build on each other."""
    from rotator import diagnosis
    from rotator.cli.wiring import Wiring
    from rotator.diagnosis import Finding, Health
    from rotator.keystore.backends import unfinished

    config = session.config
    yield Finding("configuration", "", Health.OK, str(config.source))
    wiring = Wiring(session)
    try:
        store = wiring.keyring.store
    except RotatorError as error:
        yield Finding("keyring", "", Health.FAILED, error.message, error.hint)
        return
    yield diagnosis.keyring(store, config.keyring.backend)
    left = unfinished(config.keyring, store)
    if left:
        yield Finding("master-key", "", Health.WARNING, *left.split(": ", 1))
    usable = set()
    for name in dict.fromkeys(spec.site for spec in specs):
        try:
            access = wiring.access(config.sites[name])
        except RotatorError as error:
            yield Finding("access", name, Health.FAILED, error.message, error.hint)
            continue
        yield from _permissions(config.sites[name])
        found = list(diagnosis.site(name, access.repository, access.certificate_ends, datetime.now(UTC)))
        yield from found
        if found[0].health is not Health.FAILED:
            usable.add(name)
    for spec in specs:
        if spec.site not in usable:
            continue
        try:
            scene = wiring.scene(spec)
        except RotatorError as error:
            yield Finding("keyring", spec.name, Health.FAILED, error.message, error.hint)
        else:
            yield from diagnosis.virtual_proxy(scene)


def _permissions(site: Site) -> "Iterator[Finding]":
    """The client certificate's private key opens the whole site: nobody but its owner and a group should read it."""
    from rotator.diagnosis import Finding, Health
    from rotator.ownership import Use, guard

    access = site.certificate
    path = access and (access.pfx or access.key)
    if path:
        fault = guard().fault(path, Use.CONFINED, administrator=True, follow=True)
        if fault is None:
            yield Finding("permissions", site.name, Health.OK, f"{path} is for its owner or a group alone")
        else:
            yield Finding("permissions", site.name, Health.WARNING, fault.message, fault.hint)


def _result(finding: "Finding") -> Result:
    from rotator.diagnosis import Health

    return Result(
        site="",
        name=finding.subject,
        outcome=Outcome.FAILED if finding.health is Health.FAILED else Outcome.VERIFIED,
        reason=finding.check,
        message=finding.message,
        hint=finding.hint,
        exit_status=ExitStatus.FAILED if finding.health is Health.FAILED else ExitStatus.DONE,
        extra={"health": finding.health.value},
    )
