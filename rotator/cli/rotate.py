"""rotator rotate."""

from collections.abc import Sequence
from typing import Annotated

import typer

from rotator.cli.options import AsJson, Names, SiteName, Yes
from rotator.cli.session import Session
from rotator.cli.terminal import can_ask, is_watched
from rotator.errors import UsageError
from rotator.model import ProxySpec
from rotator.report import text


def rotate(
    context: typer.Context,
    names: Names = None,
    now: Annotated[bool, typer.Option("--now", help="Rotate whatever the age of the key.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="All virtual proxies of the configuration.")] = False,
    site: SiteName = None,
    yes: Yes = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Look and test logins; write nothing anywhere, run no hook.")
    ] = False,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Only make and store the next key, so that it can be handed out first.")
    ] = False,
    ignore_window: Annotated[bool, typer.Option("--ignore-window", help="Rotate outside maintenance windows.")] = False,
    as_json: AsJson = False,
) -> None:
    """Rotate the signing key: what is due, or with --now at once.

    The new key is proven by a test login on every linked proxy; where that fails, the old certificate is put back.
    Every linked proxy restarts and ends its sessions.
    """
    from rotator.cli.wiring import Wiring
    from rotator.rotation import Options
    from rotator.rotation import rotate as verb

    session: Session = context.obj
    specs = _chosen(session, names, site, everything=everything)
    wiring = Wiring(session, consent=None if can_ask() and not yes else True)
    if now:
        wiring.expect_key(specs[0].rotation.key_bits)
    options = Options(now=now or prepare, dry_run=dry_run, prepare=prepare, ignore_window=ignore_window)
    if dry_run:
        results, errors = session.each(
            specs, lambda spec: wiring.locked(spec, lambda scene: verb(scene, options), looking=True)
        )
    else:
        results, errors = wiring.each(specs, lambda scene: verb(scene, options), finishing=not options.now)
    session.finish(results, errors, as_json=as_json, show=text.with_checks)


def _chosen(
    session: Session, names: Sequence[str] | None, site: str | None, *, everything: bool
) -> tuple[ProxySpec, ...]:
    """Those named, or all with --all, or the only one there is; of several a person is asked."""
    if names and everything:
        raise UsageError("--all and names exclude each other", hint="give one of them")
    specs = session.specs(names, site)
    if not specs:
        raise UsageError("no virtual proxy is chosen", hint="see the [proxy.NAME] tables of the configuration")
    if names or everything or len(specs) == 1:
        return specs
    listed = ", ".join(spec.name for spec in specs)
    if not (can_ask() and is_watched()):
        raise UsageError(f"there are several virtual proxies: {listed}", hint="name those to rotate, or say --all")
    typer.echo(f"rotator: there are several virtual proxies: {listed}", err=True)
    chosen = typer.prompt("Which (names, or all)", err=True).replace(",", " ").split()
    if not chosen:
        raise UsageError("no virtual proxy is chosen", hint="name those to rotate, or say all")
    return specs if chosen == ["all"] else session.specs(chosen, site)
