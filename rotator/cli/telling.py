"""What follows a command: people are told what they must know of it, and the metrics are brought up to date."""

import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rotator.cli.session import Session
from rotator.cli.terminal import is_watched
from rotator.errors import ConfigError, RotatorError
from rotator.model import Config, Outcome, ProxySpec, Result, Standing, Telling


if TYPE_CHECKING:
    from rotator.afterwards import Afterwards
    from rotator.cli.wiring import Wiring


def afterwards(session: Session, telling: Telling) -> "Afterwards":
    """The adapters that tell. A person at a terminal reads errors there."""
    from rotator.afterwards import Afterwards

    return Afterwards(telling, os.environ, lambda: datetime.now(UTC), session.command, attended=is_watched())


def known(config: Config) -> set[tuple[str, str]]:
    """The virtual proxies of the configuration."""
    return {(spec.site, spec.name) for spec in config.proxies.values()}


def after_run(
    session: Session, wiring: "Wiring", specs: Sequence[ProxySpec], results: Sequence[Result]
) -> list[RotatorError]:
    """A command changed virtual proxies, or tried to. Returns what could not be told."""
    config = session.config
    if not config.telling.wanted:
        return []
    return afterwards(session, config.telling).ended(results, standings(wiring, specs), known(config))


def after_look(session: Session, wiring: "Wiring", specs: Sequence[ProxySpec]) -> list[RotatorError]:
    """A command looked at virtual proxies. Returns what could not be written."""
    config = session.config
    if config.textfile is None:
        return []
    return afterwards(session, config.telling).looked(standings(wiring, specs), known(config))


def after_death(session: Session, error: RotatorError) -> list[RotatorError]:
    """A command ended before it came to any virtual proxy. Tells it as far as the configuration can be read."""
    from rotator.planning.notices import TELLING

    if session.command not in TELLING - {"notify"}:
        return []
    telling, of = configured(session)
    if telling is None or not telling.wanted:
        return []
    problems = error.problems if isinstance(error, ConfigError) else ()
    result = Result(
        site="",
        name="",
        outcome=Outcome.FAILED,
        reason=error.reason,
        message="; ".join([error.message, *problems]),
        hint=error.hint,
        exit_status=error.exit_status,
    )
    return afterwards(session, telling).ended([result], [], of)


def notice_due(config: Config, spec: ProxySpec, now: datetime) -> str | None:
    """Why a run of this virtual proxy has something to tell, though nothing else is due. Raises JournalError."""
    from rotator.planning.notices import Writer, expiring
    from rotator.planning.standing import of_known
    from rotator.state import figures, outbox

    if outbox.due(config.state, spec.name, config.proxies, now):
        return "a notice that was not delivered yet"
    of = of_known(figures.standings(config.state), {(spec.site, spec.name)})
    if expiring(of, outbox.warned(config.state), Writer("", "due", now, str)):
        return "a certificate that ends soon, of which nobody was told yet"
    return None


def configured(session: Session) -> tuple[Telling | None, set[tuple[str, str]] | None]:
    """How people are told, and the virtual proxies; of a configuration that is wrong what can be read of it."""
    try:
        return session.config.telling, known(session.config)
    except ConfigError:
        from rotator.config import find, telling

        with suppress(ConfigError):
            return telling(find(session.config_path, os.environ), os.environ), None
        return None, None


def standings(wiring: "Wiring", specs: Sequence[ProxySpec]) -> list[Standing]:
    """How virtual proxies stand now, as the keyring tells; without its answer what was known before stays."""
    from rotator.planning.standing import standing

    found = wiring.access_standings()
    for spec in specs:
        with suppress(RotatorError):
            found.append(standing(spec, wiring.keyring.keystore(spec).ring(), datetime.now(UTC)))
    return found
