"""rotator doctor."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from rotator.cli.options import AsJson, Names, SiteName
from rotator.cli.output import told
from rotator.cli.session import Session, found_wrong
from rotator.errors import ExitStatus, RotatorError
from rotator.model import Auth, Outcome, ProxySpec, Result, Site
from rotator.report import text


if TYPE_CHECKING:
    from rotator.cli.wiring import Wiring
    from rotator.diagnosis import Trial


def doctor(context: typer.Context, names: Names = None, site: SiteName = None, as_json: AsJson = False) -> None:
    """Try everything that has to work: configuration, keyring, TLS, credentials, rights, clocks, links, logins."""
    session: Session = context.obj
    specs = session.specs(names, site)
    results = [*_results(session, specs)]
    if not as_json:
        rows = [[result.reason, _of(result), str(result.extra["health"]), result.message] for result in results]
        typer.echo(text.table(("check", "of", "result", "detail"), rows))
        for result in results:
            if result.hint and not result.exit_status:
                told(f"rotator: hint: {_about(result)}: {result.hint}")
    errors = [found_wrong(result, _about(result)) for result in results if result.exit_status]
    session.finish(results, errors, as_json=as_json, show=lambda _: "")


def _results(session: Session, specs: tuple[ProxySpec, ...]) -> Iterator[Result]:
    """Every trial, in the order in which they build on each other; without a keyring, those that need none."""
    from rotator import diagnosis
    from rotator.cli.wiring import Wiring
    from rotator.diagnosis import Health, Trial
    from rotator.keystore.backends import unfinished
    from rotator.state import database

    config = session.config
    yield _result(Trial("configuration", Health.OK, str(config.source)))
    yield _result(diagnosis.tried("state", lambda: database.check(config.state)))
    wiring = Wiring(session)
    opened = True
    try:
        store = wiring.keyring.store
    except RotatorError as error:
        opened = False
        yield _result(diagnosis.failed("keyring", error))
    else:
        yield _result(diagnosis.keyring(store, config.keyring.backend))
        left = unfinished(config.keyring, store)
        if left:
            cause, _, remedy = left.partition(": ")
            yield _result(Trial("master-key", Health.WARNING, cause, remedy))
    usable = set()
    for name in dict.fromkeys(spec.site for spec in specs):
        found = [*_site(wiring, config.sites[name])]
        yield from (_result(trial, name) for trial in found)
        if all(trial.health is not Health.FAILED for trial in found if trial.check in {"access", "qrs"}):
            usable.add(name)
    for spec in specs if opened else ():
        if spec.site not in usable:
            continue
        try:
            scene = wiring.scene(spec)
        except RotatorError as error:
            yield _result(diagnosis.failed("keyring", error), spec.site, spec.name)
        else:
            yield from (_result(trial, spec.site, spec.name) for trial in diagnosis.virtual_proxy(scene))


def _site(wiring: "Wiring", site: Site) -> "Iterator[Trial]":
    """One site; where the credentials are not to be had, whether QRS can be reached at all."""
    from rotator import diagnosis

    try:
        access = wiring.access(site)
    except RotatorError as error:
        yield diagnosis.failed("access", error)
        yield diagnosis.tried("qrs", lambda: _greeted(site))
        return
    yield from _permissions(site)
    yield from diagnosis.site(access.repository, access.certificate_ends, datetime.now(UTC))


def _greeted(site: Site) -> str:
    """The server that leads to QRS, its TLS alone. Raises ServerError."""
    from rotator.qlik import first_contact, routes

    route = routes.to_access(site, site.jwt.url) if site.auth is Auth.JWT and site.jwt else routes.to_qrs(site)
    first_contact.greet(route)
    return f"{route.host} answers, TLS accepted; nothing was asked without credentials"


def _permissions(site: Site) -> "Iterator[Trial]":
    """The client certificate's private key opens the whole site: nobody but its owner and a group should read it."""
    from rotator.diagnosis import Health, Trial
    from rotator.ownership import Use, guard

    access = site.certificate
    path = access and (access.pfx or access.key)
    if path:
        fault = guard().fault(path, Use.CONFINED, administrator=True, follow=True)
        if fault is None:
            yield Trial("permissions", Health.OK, f"{path} is for its owner or a group alone")
        else:
            yield Trial("permissions", Health.WARNING, fault.message, fault.hint)


def _about(result: Result) -> str:
    """The same with the check, for a line that stands alone."""
    return " ".join(filter(None, (result.reason, _of(result))))


def _of(result: Result) -> str:
    """What a row is about, in a few words."""
    return " ".join(filter(None, (result.name or result.site, str(result.extra.get("host", "")))))


def _result(trial: "Trial", site: str = "", name: str = "") -> Result:
    from rotator.diagnosis import Health

    return Result(
        site=site,
        name=name,
        outcome=Outcome.FAILED if trial.health is Health.FAILED else Outcome.VERIFIED,
        reason=trial.check,
        message=trial.message,
        hint=trial.hint,
        exit_status=trial.failure if trial.health is Health.FAILED else ExitStatus.DONE,
        extra={"health": trial.health.value, **({"host": trial.host} if trial.host else {})},
    )
