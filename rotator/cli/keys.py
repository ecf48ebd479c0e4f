"""rotator keys."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from rotator.cli.keys_migrate import migrate
from rotator.cli.keys_rekey import rekey
from rotator.cli.keys_store_secret import store_secret
from rotator.cli.options import AsJson, Name, Names, SiteName
from rotator.cli.output import told as say
from rotator.cli.session import Session
from rotator.errors import ExitStatus, RestoredKeyring, UsageError
from rotator.model import Json, KeyVersion, Outcome, ProxySpec, Result, Stage, short
from rotator.planning.pruning import KEEP
from rotator.report import text


HEAD = ("name", "stage", "fingerprint", "bits", "created", "since", "certificate ends")

keys = typer.Typer(invoke_without_command=True)
keys.command("migrate", short_help="Move all keys and secrets to another keyring.")(migrate)
keys.command("rekey", short_help="Give sealed files a new master key.")(rekey)
keys.command("store-secret", short_help="Store a password in the keyring.")(store_secret)


@keys.callback()
def of_keys(context: typer.Context) -> None:
    """The keys in the keyring: list, export, prune, move and reseal them."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(ExitStatus.USAGE)


@keys.command("list", short_help="List keys and their stages.")
def list_keys(context: typer.Context, names: Names = None, site: SiteName = None, as_json: AsJson = False) -> None:
    """List the versions of each key and their stages, from the keyring."""
    from rotator.cli.keyring import Keyring
    from rotator.report.keys import key_rows

    session: Session = context.obj
    session.command = "keys list"
    keyring = Keyring(session.config)

    def listed(spec: ProxySpec) -> Result:
        ring = keyring.keystore(spec).ring()
        rows: list[Json] = [*key_rows(ring)]
        current = ring.at(Stage.CURRENT)
        return Result(
            spec.site, spec.name, Outcome.SHOWN, "Listed", proxy_id=ring.proxy_id, key=current, extra={"keys": rows}
        )

    results, errors = session.each(session.specs(names, site), listed)
    rows = [row for result in results for row in _rows(result)]
    none = "" if errors else "the keyring has no keys of these virtual proxies"
    shown = text.table(HEAD, rows) if rows else none
    session.finish(results, errors, as_json=as_json, show=lambda _: "", above=shown)


def _rows(result: Result) -> list[list[str]]:
    listed = result.extra.get("keys")
    return [
        [
            result.name,
            str(row["stage"]),
            short(str(row["fingerprint"])),
            str(row["bits"]),
            *(str(row[column])[:16].replace("T", " ") for column in ("created", "since", "certificate_not_after")),
        ]
        for row in (listed if isinstance(listed, list) else [])
        if isinstance(row, dict)
    ]


@keys.command("prune", short_help="Delete retired keys for good.")
def prune(
    context: typer.Context,
    names: Names = None,
    keep: Annotated[
        int, typer.Option("--keep", min=0, metavar="N", help="How many retired keys to keep, the newest.")
    ] = KEEP,
    site: SiteName = None,
    as_json: AsJson = False,
) -> None:
    """Delete retired keys for good. Current, previous and pending ones stay, and what could still reach the server.

    The server is asked first; without its answer nothing is deleted. A key whose certificate was ever sent stays at
    least 7 days.
    """
    from rotator.cli.wiring import Wiring
    from rotator.recovery import prune as verb

    session: Session = context.obj
    session.command = "keys prune"
    wiring = Wiring(session)
    results, errors = wiring.each(session.specs(names, site), lambda scene: verb(scene, keep))
    session.finish(results, errors, as_json=as_json)


@keys.command("export", short_help="Print the public side, or write the private key.")
def export(
    context: typer.Context,
    name: Name,
    form: Annotated[
        Literal["pem", "jwks"] | None,
        typer.Option("--format", help="The public side: pem (public key and certificate) or jwks.", show_default="pem"),
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="The private key, as PKCS#8 PEM, to --output.")] = False,
    stage: Annotated[Literal["pending", "current"], typer.Option("--stage", help="Which key.")] = "current",
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="A new file, readable by its owner alone.")
    ] = None,
    site: SiteName = None,
    as_json: AsJson = False,
) -> None:
    """Print the public side of a key, or write the private key to a new file."""
    import json
    from datetime import UTC, datetime

    from rotator.cli.files import write_new, write_private
    from rotator.cli.keyring import Keyring
    from rotator.exporting import of_stage, public_side

    session: Session = context.obj
    session.command = "keys export"
    spec = session.one(name, site)
    if private and form is not None:
        raise UsageError(
            "--format is for the public side: a private key is written as PKCS#8 PEM",
            hint="take out --format or --private",
        )
    if private and output is None:
        raise UsageError(
            "a private key is never printed",
            hint=f"name a new file: rotator keys export {name} --private --stage {stage} --output FILE",
        )
    keyring = Keyring(session.config)
    keystore = keyring.keystore(spec)
    try:
        ring = keyring.whole_ring(spec)
    except RestoredKeyring as error:
        if private:
            raise  # whoever gets it may be kept out
        say(f"rotator: this may be out of date: {error.message}; {error.hint}")
        ring = keystore.ring()
    version: KeyVersion | None
    told: dict[str, Json] = {"output": str(output) if output else None}
    if private and output is not None:
        held = of_stage(spec, ring, Stage(stage))
        write_private(output, keystore.key(held).to_pem())
        shown, version = f"{name}: the {stage} private key {short(held.fingerprint)} is in {output}", held
    else:
        side = public_side(spec, keystore, Stage(stage), datetime.now(UTC))
        version = side.version
        for remark in side.remarks:
            session.warn(f"{name}: {remark}")
        jwks: dict[str, Json] = {"keys": [{**side.key.jwk(spec.rotation.algorithm)}]}
        told |= {"certificate": side.certificate, "jwks": jwks}
        shown = json.dumps(jwks, indent=2) if form == "jwks" else side.key.to_pem() + side.certificate
        if output is not None:
            write_new(output, shown.encode("ascii"), mode=0o644)
            named = f"{version.stage} key" if version else "key"
            shown = f"{name}: the public side of the {named} {short(side.key.fingerprint)} is in {output}"
    told["stage"] = version.stage if version else None
    result = Result(spec.site, spec.name, Outcome.SHOWN, "Exported", proxy_id=ring.proxy_id, key=version, extra=told)
    session.finish([result], as_json=as_json, show=lambda _: shown.rstrip("\n"))
