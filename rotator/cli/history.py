"""rotator history."""

from typing import Annotated

import typer

from rotator.cli.options import AsJson, Names, SiteName
from rotator.cli.session import Session
from rotator.model import Outcome, Result, Run


NEWEST = 20


def history(
    context: typer.Context,
    names: Names = None,
    site: SiteName = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="So many runs, the newest.")] = NEWEST,
    as_json: AsJson = False,
) -> None:
    """Tell what was done: each run with who started it, its steps, how long they took, and why it ended as it did.

    From the journal in the state directory. With rotator -v history every change of keyring and server too.
    """
    from rotator.cli.whole_keyring import KEYRING
    from rotator.report import story, text
    from rotator.state.database import OPEN
    from rotator.state.journal import read

    def kept() -> tuple[Run, ...]:
        return read(session.config.state, about if names else [*about, KEYRING], limit)

    session: Session = context.obj
    about = [(spec.site, spec.name) for spec in session.specs(names, site)]
    runs = kept()
    if any((run.site, run.name) == KEYRING for run in runs):
        about.append(KEYRING)
    if as_json:
        results = [
            Result(
                *pair,
                Outcome.SHOWN,
                "History",
                extra={"runs": [story.row(run) for run in runs if (run.site, run.name) == pair]},
            )
            for pair in about
        ]
        session.finish(results, as_json=True)
    left = {run.same for run in runs if run.outcome == OPEN and _nobody_works(session, run)}
    if left:
        runs = kept()  # one that ended meanwhile is told as it ended
    told = [
        line
        for run in runs
        for line in story.lines(run, effects=session.verbose, dead=run.outcome == OPEN and run.same in left)
    ]
    session.finish([], as_json=False, above="\n".join(map(text.printable, told)) or "nothing was done yet")


def _nobody_works(session: Session, run: Run) -> bool:
    """Whether the lock is free that the run held to its end: its number of a process may be another's by now."""
    from rotator.cli.whole_keyring import KEYRING
    from rotator.keystore import registry
    from rotator.state import lock

    if (run.site, run.name) == KEYRING:
        return lock.idle(session.config.state, "keyring")
    of_site = lock.of_site(run.site, registry.address(session.config.sites[run.site].qrs))
    return all(lock.idle(session.config.state, name) for name in of_site)
