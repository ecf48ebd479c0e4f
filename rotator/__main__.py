"""The entry point: answers `--version` at once, before anything is imported, and starts the command line."""

import sys
from contextlib import suppress


def main() -> None:
    """Run rotator with the arguments of this process, and exit with its status."""
    if sys.argv[1:] == ["--version"]:
        from rotator.version import __version__  # noqa: PLC0415 - the quick way out

        with suppress(OSError):  # the command line says then why it cannot be written
            print(f"rotator {__version__}", flush=True)  # noqa: T201 - this is the answer
            return
    from rotator.hardening import undumpable  # noqa: PLC0415 - see above

    undumpable()
    try:
        from rotator.cli.app import run  # noqa: PLC0415 - see above
    except KeyboardInterrupt:
        print("rotator: interrupted; nothing was changed", file=sys.stderr)  # noqa: T201 - before there is anything else
        sys.exit(130)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
