"""rotator init."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from rotator.cli.options import AsJson, Yes
from rotator.cli.session import Session
from rotator.errors import TryLater, UsageError
from rotator.model import Result


if TYPE_CHECKING:
    from rotator.cli.init import keyring
    from rotator.cli.init.interview import Interview
    from rotator.cli.init.site import Access
    from rotator.cli.init.writing import NewFile

ACCOUNT: Final = "rotator"
"""The account that the units of systemd run as."""


def init(
    context: typer.Context,
    site: Annotated[
        str | None, typer.Option("--site", metavar="SITE", help="What rotator calls the site; prod.")
    ] = None,
    qrs: Annotated[str | None, typer.Option("--qrs", metavar="URL", help="QRS, as https://HOST:4242.")] = None,
    root_ca: Annotated[str | None, typer.Option("--root-ca", metavar="FILE", help="Its root certificate.")] = None,
    server_name: Annotated[
        str | None,
        typer.Option("--server-name", metavar="NAME", help="The name in its certificate, if not that of the URL."),
    ] = None,
    cert: Annotated[str | None, typer.Option("--cert", metavar="FILE", help="The client certificate in PEM.")] = None,
    key: Annotated[str | None, typer.Option("--key", metavar="FILE", help="Its private key in PEM.")] = None,
    pfx: Annotated[str | None, typer.Option("--pfx", metavar="FILE", help="Instead of both: a PKCS#12 file.")] = None,
    password: Annotated[
        str | None,
        typer.Option(
            "--password", metavar="REF", help="Where its password is kept: file:, keyring:, credential: or dpapi:."
        ),
    ] = None,
    password_from: Annotated[
        str | None, typer.Option("--password-from", metavar="FILE|-", help="Where the password is read from now.")
    ] = None,
    user: Annotated[str | None, typer.Option("--user", metavar=r"DIR\id", help=r"Who to be; INTERNAL\sa_api.")] = None,
    proxy_ca: Annotated[
        str | None, typer.Option("--proxy-ca", metavar="FILE|system", help="Root of the proxies, if it is another one.")
    ] = None,
    probe: Annotated[
        list[str] | None,
        typer.Option("--probe", metavar="HOST=WAY", help="How a proxy is reached: skip, URL, ADDRESS:PORT."),
    ] = None,
    prefix: Annotated[str | None, typer.Option("--prefix", metavar="PREFIX", help="Of the virtual proxy.")] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What rotator calls it; the prefix.")
    ] = None,
    test_user: Annotated[
        str | None, typer.Option("--test-user", metavar=r"DIR\id", help=r"Of test logins; ROTATOR\probe.")
    ] = None,
    window: Annotated[
        list[str] | None,
        typer.Option(
            "--window", metavar="WINDOW", help="When to rotate: 'SUN 02:00-05:00 Europe/Stockholm', any, none."
        ),
    ] = None,
    keyring: Annotated[
        str | None,
        typer.Option("--keyring", metavar="BACKEND", help="sealed-file, secret-service, windows or macos."),
    ] = None,
    keyring_path: Annotated[
        str | None, typer.Option("--keyring-path", metavar="DIR", help="Of sealed-file: its folder.")
    ] = None,
    master_key: Annotated[
        str | None,
        typer.Option("--master-key", metavar="REF", help="Of sealed-file: file:PATH, credential:NAME or dpapi:PATH."),
    ] = None,
    state: Annotated[str | None, typer.Option("--state", metavar="DIR", help="Journal and locks.")] = None,
    account: Annotated[
        str | None,
        typer.Option("--account", metavar="USER", help="For root: who will run rotator, and owns the new files."),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Write a first configuration. Every answer is tried on the server as it is given.

    On a terminal it asks for what no flag answers, and again for what is wrong. Nothing is written before all is right,
    and nothing that is there is overwritten. The file is --config FILE, before the command, or the usual place.
    """
    from rotator.cli.init import ending, writing
    from rotator.cli.init import interview as asking
    from rotator.config import destination

    session: Session = context.obj
    target = destination(session.config_path, os.environ).absolute()
    writing.check_configuration(target)
    given = asking.flags(
        {
            "--site": site,
            "--qrs": qrs,
            "--root-ca": root_ca,
            "--server-name": server_name,
            "--cert": cert,
            "--key": key,
            "--pfx": pfx,
            "--password": password,
            "--password-from": password_from,
            "--user": user,
            "--proxy-ca": proxy_ca,
            "--prefix": prefix,
            "--name": name,
            "--test-user": test_user,
            "--keyring": keyring,
            "--keyring-path": keyring_path,
            "--master-key": master_key,
            "--state": state,
            "--account": account,
        }
    )
    talk = asking.Interview(given, quiet=session.quiet and not session.verbose)
    _check(given, windows=window or [], asking=talk.asking)
    result = _ask_and_write(talk, target, _probes(probe or []), tuple(window or ()), sure=yes)
    session.finish([result], as_json=as_json, show=ending.shown)


def _check(given: dict[str, str], *, windows: list[str], asking: bool) -> None:
    """Raise UsageError for flags that contradict each other, and, where there is nobody to ask, for all that are missing."""
    if "--pfx" in given and ("--cert" in given or "--key" in given):
        raise UsageError("--pfx is given and --cert or --key too", hint="give the one or the others")
    if asking:
        return
    from rotator.cli.init.interview import missing

    needed = [flag for flag in ("--qrs", "--root-ca", "--prefix", "--keyring") if flag not in given]
    if not {"--pfx", "--cert"} & given.keys():
        needed.append("--pfx (or --cert and --key)")
    if "--cert" in given and "--key" not in given:
        needed.append("--key")
    if given.get("--keyring") == "sealed-file" and "--master-key" not in given:
        needed.append("--master-key")
    if "--password-from" in given and "--password" not in given:
        needed.append("--password")
    if not windows:
        needed.append("--window")
    if needed:
        raise missing(needed)


def _probes(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        host, equals, way = pair.partition("=")
        if not equals or not host or not way:
            raise UsageError(f"--probe {pair!r} is not of the form HOST=WAY", hint="e.g. --probe rim2.example.com=skip")
        found[host.lower()] = way
    return found


def _ask_and_write(
    talk: "Interview", target: Path, probes: dict[str, str], windows: tuple[str, ...], *, sure: bool
) -> Result:
    from dataclasses import replace

    from rotator.cli.init import ending, keyring, proxies, site, writing
    from rotator.cli.init.interview import plain
    from rotator.config import load_text, values
    from rotator.config.location import default_state
    from rotator.config.writing import Draft, written
    from rotator.model import SecretKind

    proxies.check_windows(talk, windows)
    folder = target.parent
    owner = _owner(talk)
    own = owner is None or _is_me(owner)
    base = _base(folder)
    state = talk.ask("--state", "State directory", plain(values.path)) if "--state" in talk.given else base
    if own:
        writing.check_folder(state or default_state(os.environ))
    access = site.ask(talk, folder, own=own)
    access = replace(access, site=proxies.reached(talk, access, probes))
    chosen = proxies.virtual_proxy(talk, access, windows)
    reference = access.site.certificate.password if access.site.certificate else None
    ring = keyring.ask(talk, folder, base / "keys" if base else folder / "keys", reference, own=own)
    draft = Draft(
        ring.settings, state, access.site, chosen.name, chosen.prefix, chosen.test_user, chosen.windows, chosen.claims
    )
    content = written(draft)
    load_text(content, target, os.environ)
    files = _files(target, content, access, ring)
    writing.check(files)
    told = [f"  {file.path} (mode {file.mode:04o})" for file in files]
    secret = None
    if reference is not None and reference.kind is SecretKind.KEYRING:
        secret = keyring.secret(ring.settings, reference, access.password or "")
        told.append(f"  {reference}, in the keyring")
    talk.say("", "This is written now:", *told)
    if talk.asking and not sure and not typer.confirm("Go on?", default=True, err=True):
        raise TryLater("not confirmed; nothing was written")
    writing.write(files, secret, owner)
    return ending.result(target, files, access, chosen, ring)


def _is_me(owner: int) -> bool:
    return sys.platform == "win32" or owner == os.geteuid()


def _owner(talk: "Interview") -> int | None:
    """The user id of the account that will run rotator, None for the one that runs this. Raises UsageError."""
    if sys.platform == "win32" or (os.geteuid() != 0 and "--account" not in talk.given):
        return None
    import pwd

    def known(answer: str) -> int:
        try:
            uid = pwd.getpwnam(answer).pw_uid
        except KeyError:
            raise UsageError(f"--account {answer}: there is no such account", hint="install its units first") from None
        if os.geteuid() not in (0, uid):
            raise UsageError(f"--account {answer}: only root gives files away", hint=f"sudo -u {answer} rotator init …")
        return uid

    usual = ACCOUNT if any(entry.pw_name == ACCOUNT for entry in pwd.getpwall()) else "root"
    return talk.ask("--account", "Account that will run rotator", known, default=usual)


def _base(folder: Path) -> Path | None:
    """Where a server keeps what rotator writes later; None: in the folders of whoever runs it."""
    return Path("/var/lib/rotator") if folder == Path("/etc/rotator") else None


def _files(target: Path, content: str, access: "Access", ring: "keyring.Chosen") -> "list[NewFile]":
    """The new files, the configuration last: it is there when all is."""
    from rotator.cli.init.writing import CONFIGURATION, NewFile
    from rotator.model import SecretKind

    files = []
    if ring.new_master_key is not None and ring.settings.master_key is not None:
        files.append(NewFile(Path(ring.settings.master_key.name), ring.new_master_key, 0o600))
    reference = access.site.certificate.password if access.site.certificate else None
    if reference is not None and reference.kind is SecretKind.FILE and not access.stored:
        files.append(NewFile(Path(reference.name), (access.password or "").encode() + b"\n", 0o600))
    files.append(NewFile(target, content.encode(), CONFIGURATION))
    return files
