"""rotator sandbox."""

from pathlib import Path
from typing import Annotated

import typer

from rotator.cli.output import told
from rotator.cli.session import Session
from rotator.errors import ConfigError, UsageError


REMEDY = "install it with its extra: pip install 'rotator[sandbox]'"


def sandbox(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Where certificates and rotator.toml go.")
    ] = None,
    qrs_port: Annotated[int, typer.Option(help="The repository's port; 0 takes a free one.")] = 4242,
    qps_port: Annotated[int, typer.Option(help="The central proxy service's REST port.")] = 4243,
    proxy_port: Annotated[str, typer.Option(metavar="PORT[,PORT]...", help="The proxies' ports.")] = "443",
    nodes: Annotated[int, typer.Option(min=1, max=20, help="Nodes with a proxy each; the first one is central.")] = 1,
    release: Annotated[str | None, typer.Option(metavar="NAME", help="The release to play; see below.")] = None,
    restart_delay: Annotated[
        str, typer.Option(metavar="MIN-MAX", help="Seconds a proxy takes to apply a change; 0: at once.")
    ] = "0.2-1.5",
    seed: Annotated[int | None, typer.Option(help="Draws the same delays again.")] = None,
    fault: Annotated[list[str] | None, typer.Option(help="Inject a fault; see below.")] = None,
    unknown: Annotated[
        list[str] | None, typer.Option(metavar="KEY=ANSWER", help="Play another answer; see below.")
    ] = None,
    root_without_key_identifier: Annotated[
        bool, typer.Option("--root-without-key-identifier", help="A root as products of Windows often have it.")
    ] = False,
    client_certificate_days: Annotated[
        int, typer.Option(help="Life of the client certificate; negative: expired.")
    ] = 365,
) -> None:
    """Run a stand-in for Qlik Sense on loopback until SIGTERM, for trying everything without one.

    Prints one line of JSON when it listens.
    """
    if folder is None:
        raise UsageError(
            "--dir is missing", hint="name a folder for its certificates and rotator.toml: --dir /tmp/sandbox"
        )
    try:
        import asyncio

        from rotator.sandbox.releases import DEFAULT, RELEASES
        from rotator.sandbox.site import Settings, run
    except ModuleNotFoundError as error:
        raise UsageError(f"the sandbox needs {error.name}", hint=REMEDY) from None
    folder = folder.absolute()
    _see_usable(context.obj, folder)
    name = release or DEFAULT
    if name not in RELEASES:
        raise UsageError(f"--release {name}: there is no such release", hint=f"there is: {', '.join(RELEASES)}")
    try:
        settings = Settings(
            folder=folder,
            release=RELEASES[name],
            qrs_port=qrs_port,
            qps_port=qps_port,
            proxy_ports=_ports(proxy_port),
            nodes=nodes,
            delay=_delay(restart_delay),
            seed=seed,
            faults=tuple(fault or ()),
            unknowns=tuple(unknown or ()),
            root_identified=not root_without_key_identifier,
            client_days=client_certificate_days,
        )
        asyncio.run(run(settings))
    except ValueError as error:
        raise UsageError(str(error), hint="see rotator sandbox --help") from None
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise UsageError(
            f"the sandbox cannot start: {place}{error.strerror}",
            hint=f"is {folder} a folder that may be written to?"
            if error.filename
            else "are its ports free? 0 takes free ones: --qrs-port 0 --qps-port 0 --proxy-port 0",
        ) from None


def _see_usable(session: Session, folder: Path) -> None:
    """Warn where no command would take the configuration that is written there."""
    from rotator.config import find

    try:
        find(folder / "rotator.toml", {})
    except ConfigError as error:
        session.warn(f"no command will take {folder / 'rotator.toml'}: {error.message}")
        told(f"rotator: hint: {error.hint}")


def _ports(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(port) for port in text.split(","))
    except ValueError:
        raise ValueError(f"--proxy-port {text}: must be port numbers with commas between them, as 443,444") from None


def _delay(text: str) -> tuple[float, float]:
    shortest, _, longest = text.partition("-")
    try:
        low, high = float(shortest), float(longest or shortest)
    except ValueError:
        low, high = 0.0, -1.0
    if not 0 <= low <= high:
        raise ValueError(f"--restart-delay {text}: must be MIN-MAX seconds, as 0.2-1.5")
    return low, high


def epilog() -> str:
    """What faults, unknowns and releases there are, for the help."""
    from rotator.sandbox import faults, releases, unknowns

    return (
        f"Releases: {', '.join(releases.RELEASES)}.\n\n"
        f"Faults, as {faults.GRAMMAR}; SERVICE is qrs, qps, proxy or a host, N counts matching requests, * is each:\n\n\b\n"
        f"{faults.listing()}\n\n"
        f"Unknowns, the first answer is played unless told otherwise:\n\n\b\n{unknowns.listing()}"
    )
