"""The arguments and options that several commands share."""

from typing import Annotated

import typer


Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Tables of the configuration: [proxy.NAME].")
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="A table of the configuration: [proxy.NAME].")]
SiteName = Annotated[str | None, typer.Option("--site", metavar="SITE", help="Only virtual proxies of this site.")]


def _quietly(context: typer.Context, as_json: bool) -> bool:
    """For a script: no progress beside the document, whoever watches."""
    if as_json:
        context.obj.quiet = True
    return as_json


AsJson = Annotated[
    bool, typer.Option("--json", callback=_quietly, help="One JSON document on standard output, and no progress.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
