"""The command line of this process, as a line that can be pasted into a shell of root to run it where it works."""

import os
import shlex
import sys
from pathlib import Path
from typing import Final


CONFIGURATION: Final = "ROTATOR_CONFIG"
"""The variable of the environment that names the configuration file."""
SHELL: Final = Path("/usr/local/sbin/rotator")
"""What `rotator install-units` puts there: rotator with the account, the credentials and the environment of its units."""
CREDENTIALS: Final = "/etc/credstore.encrypted"


def as_account(owner: str) -> str:
    """The same as another account."""
    return _by_shell() or shlex.join(("sudo", "-u", owner, *_this()))


def with_credential(name: str) -> str:
    """The same as the account of the units and with a credential of systemd, which exists inside a service alone."""
    words = ("systemd-run", "--quiet", "--wait", "--collect", "--pty", "--pipe", "--uid=rotator")
    # The state directory of the units: the locks are in it.
    settings = ("--setenv=STATE_DIRECTORY=/var/lib/rotator", f"--property={credential(name)}")
    return _by_shell() or shlex.join((*words, *settings, *_this()))


def credential(name: str) -> str:
    """The setting that gives a unit a credential."""
    return f"LoadCredentialEncrypted={name}:{CREDENTIALS}/{name}"


def _by_shell() -> str | None:
    return shlex.join((str(SHELL), *_named_configuration(), *sys.argv[1:])) if SHELL.exists() else None


def _this() -> list[str]:
    program = Path(sys.argv[0]).absolute()
    started = (sys.executable, "-m", "rotator") if program.name == "__main__.py" else (str(program),)
    return [*started, *_named_configuration(), *sys.argv[1:]]


def _named_configuration() -> tuple[str, ...]:
    """The file that the environment names, which goes no further: sudo and systemd-run begin with one of their own."""
    named = os.environ.get(CONFIGURATION)
    given = any(word.partition("=")[0] == "--config" for word in sys.argv[1:])
    return ("--config", str(Path(named).absolute())) if named and not given else ()
