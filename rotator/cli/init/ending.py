"""How init ends: what was written, and what a person does next."""

import os
from pathlib import Path

from rotator.cli.init import keyring, proxies
from rotator.cli.init.site import Access
from rotator.cli.init.writing import NewFile
from rotator.diagnosis import Health
from rotator.model import Json, Outcome, Result, SecretKind
from rotator.report import text


def result(target: Path, files: list[NewFile], access: Access, chosen: proxies.Chosen, ring: keyring.Chosen) -> Result:
    """What came of it, for people and for scripts: the files, and the commands that come next."""
    first = [*_credentials(access, ring)]
    command = f"rotator --config {target}" if target != Path("/etc/rotator/rotator.toml") else "rotator"
    there = chosen.existing
    served = there is not None and bool(there.certificate.strip())
    following = [f"{command} adopt {chosen.name} --key FILE"] if served else []
    following += [f"{command} create-proxy {chosen.name} --plan"]
    following += [] if served else [f"{command} create-proxy {chosen.name}"]
    following += [f"{command} doctor"]
    extra: dict[str, Json] = {
        "config": str(target),
        "files": [str(file.path) for file in files],
        "version": access.version,
        "server_name": access.site.server_name,
        "proxy_services": [
            {"host": proxy.host, "central": proxy.central, "test_logins": proxies.way_to(access.site, proxy)}
            for proxy in access.proxies
        ],
        "nodes": [node.host for node in access.nodes],
        "existing": there is not None,
        "serves_a_key": served,
        "credentials": [*first],
        "next": [*following],
    }
    tried, hint = " and all of it was tried", None
    if chosen.rights.health is not Health.OK:
        tried, hint = f", but {chosen.rights.message}", chosen.rights.hint
    message = f"{target} is written{tried}"
    return Result(access.site.name, chosen.name, Outcome.CONFIGURED, "Configured", message, hint=hint, extra=extra)


def _credentials(access: Access, ring: keyring.Chosen) -> list[str]:
    """The commands by which a person makes the systemd credentials that the configuration names."""
    encrypt = "systemd-creds encrypt --name={0} - /etc/credstore.encrypted/{0}"
    commands = []
    master = ring.settings.master_key
    if master is not None and master.kind is SecretKind.CREDENTIAL and not _given(master.name):
        commands.append(f"head -c 32 /dev/urandom | base64 | {encrypt.format(master.name)}")
    reference = access.site.certificate.password if access.site.certificate else None
    if reference is not None and reference.kind is SecretKind.CREDENTIAL and not _given(reference.name):
        commands.append(f"systemd-ask-password -n | {encrypt.format(reference.name)}")
    return commands


def _given(name: str) -> bool:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return bool(folder) and (Path(str(folder)) / name).exists()


def shown(result: Result) -> str:
    """The same as lines for a person."""
    lines = [text.line(result)]
    credentials, following = result.extra["credentials"], result.extra["next"]
    assert isinstance(credentials, list)  # noqa: S101 - made above
    assert isinstance(following, list)  # noqa: S101 - made above
    if credentials:
        lines += ["first, as root:", *(f"  {line}" for line in credentials)]
    lines += ["next:", *(f"  {line}" for line in following)]
    if result.extra["serves_a_key"]:
        lines.append("The virtual proxy serves a key already: adopt takes it over, and changes nothing on the server.")
    return "\n".join(lines)
