"""What can go wrong, as types, and the exit statuses they end in.

    RotatorError(message, hint)             1
    |-- ConfigError                        78  carries every problem found, not the first
    |-- UsageError                          2
    |-- TryLater                            3  nothing changed
    |   |-- LockHeld
    |   |-- Stopped                          by SIGTERM, in time
    |   `-- WindowClosed
    |-- PersonNeeded                        4  drift, an undo that failed, an unknown state
    |   |-- Drift
    |   |-- RestoredKeyring                    the keyring is an older copy than the journal knows
    |   `-- UndoFailed
    |-- NotDelivered                        5  rotated and tested; the hand-over failed
    |-- NotTold                             5  done, but people or monitoring could not be told
    |   |-- NoticeFailed                       a notice by one channel; it is tried again
    |   `-- MetricsFailed                      the file for the metrics
    |-- InstallationMismatch               78  state and keyring belong to different installations
    |-- KeyStoreError                       1
    |   |-- KeyStoreUnavailable                locked, absent, timed out
    |   |-- KeyNotFound
    |   `-- KeyStoreCorrupt                    what was read back is not what was stored
    |-- StateUnavailable                    1  the disk of the state directory is full, read-only or broken
    |-- JournalError                        1  the journal in the state directory
    |   `-- JournalUnwritable                  its disk is full, read-only or broken
    |-- KeyMaterialError                    1  a key or certificate that cannot be used
    |-- SecretUnavailable                   1  a password or master key that a reference names
    |-- ServerError                         1  the server, or the way to it
    |   |-- ServerUnreachable                  refused, reset, timed out: no answer
    |   |-- TlsError                           root, name, client certificate, protocol
    |   |-- AuthenticationFailed               401, or a login page
    |   |-- PermissionDenied                   403
    |   |-- NotFound                           404
    |   |-- BadRequest                         400
    |   |-- Conflict                           409
    |   |-- ServerFault                        5xx, 429
    |   `-- UnexpectedAnswer                   not the JSON we know, too large, cut short
    |-- Refused                             1  a request that would break a rule; nothing was changed
    |-- VerificationFailed                  1  a test login said no
    |-- FoundWrong                             what a command that goes on finds wrong, with a status of its own
    |-- SeenFromOutside                     1  what a process could not say for itself; the daemon says it
    |   |-- RunFailed                          killed, or with a status that no run tells of
    |   |-- RunTooLong                         beyond its limit
    |   |-- NotStarted                         the system has no room for a process
    |   `-- LookFailed                         `rotator due` does not learn what is due
    `-- Undone                              1  failed; the key that was current is back and tested

Inside rotator only these travel: an adapter maps each third-party error once, where it meets it.
"""

from enum import IntEnum
from typing import TYPE_CHECKING, Self


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rotator.model import Check, KeyVersion


class ExitStatus(IntEnum):
    """What the process says to the shell and to systemd."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    TRY_LATER = 3
    PERSON_NEEDED = 4
    NOT_DELIVERED = 5
    CONFIG = 78


_WORST_FIRST = (
    ExitStatus.PERSON_NEEDED,
    ExitStatus.NOT_DELIVERED,
    ExitStatus.FAILED,
    ExitStatus.TRY_LATER,
    ExitStatus.DONE,
)


def worst(statuses: "Iterable[ExitStatus]") -> ExitStatus:
    """The exit status of a run over several virtual proxies: the worst of 4, 5, 1, 3, 0."""
    seen = set(statuses)
    return next((status for status in _WORST_FIRST if status in seen), ExitStatus.DONE)


class RotatorError(Exception):
    """Everything that can happen. `message` names place and cause; `hint` says what to do now.

    `checks` are the test logins that led to it, where there were any; `key` the key that is current all the same;
    `unchanged`: for certain nothing that could have changed the certificate on the server is done or still on its way.
    """

    exit_status = ExitStatus.FAILED
    checks: "tuple[Check, ...]" = ()
    key: "KeyVersion | None" = None
    unchanged: bool = False

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def reason(self) -> str:
        """The error as one constant word for scripts: the name of its class."""
        return type(self).__name__

    def about(self, names: "Sequence[str]") -> Self:
        """This error, beginning with whom it is about where it does not yet."""
        name = ", ".join(names)
        if not self.message.startswith(f"{name}: "):
            self.message = f"{name}: {self.message}"
        return self

    def with_checks(self, checks: "Sequence[Check]") -> Self:
        """This error, carrying the test logins that led to it."""
        self.checks = tuple(checks)
        return self


class ConfigError(RotatorError):
    """The configuration cannot be used. `problems` holds every mistake found, each a whole sentence."""

    exit_status = ExitStatus.CONFIG

    def __init__(self, message: str, *, hint: str | None = None, problems: "Sequence[str]" = ()) -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)


class UsageError(RotatorError):
    """The command line asks for something that has no meaning."""

    exit_status = ExitStatus.USAGE


class TryLater(RotatorError):
    """Nothing was changed; the same call may succeed later."""

    exit_status = ExitStatus.TRY_LATER


class LockHeld(TryLater):
    """Another rotator works on the same: a site, the keyring, the notices, the metrics."""


class Stopped(TryLater):
    """This process was asked to stop before it changed anything."""


class WindowClosed(TryLater):
    """No maintenance window is open, or too little of it is left."""


class PersonNeeded(RotatorError):
    """rotator will not go on by itself."""

    exit_status = ExitStatus.PERSON_NEEDED


class Drift(PersonNeeded):
    """The server holds what rotator neither put there nor knows."""


class UnknownState(PersonNeeded):
    """Whether a change is in place is not known: the server cannot be asked, or its answers do not agree."""


class RestoredKeyring(PersonNeeded):
    """The keyring is an older copy of itself, or empty, where the journal knows of later changes."""


class UndoFailed(PersonNeeded):
    """The new key failed and the old one could not be put back. Carries both causes in its message."""


class NotDelivered(RotatorError):
    """The rotation is done; handing the key over failed and is tried again by the next run."""

    exit_status = ExitStatus.NOT_DELIVERED


class NotTold(RotatorError):
    """What was to be done is done; telling of it failed."""

    exit_status = ExitStatus.NOT_DELIVERED


class NoticeFailed(NotTold):
    """A channel did not take a notice."""


class MetricsFailed(NotTold):
    """The metrics could not be written: what monitoring sees is out of date."""


class InstallationMismatch(RotatorError):
    """State and keyring belong to different installations, as when the wrong account runs rotator."""

    exit_status = ExitStatus.CONFIG


class KeyStoreError(RotatorError):
    """The keyring failed."""


class KeyStoreUnavailable(KeyStoreError):
    """The keyring gave no answer: absent, locked, or too slow."""


class KeyNotFound(KeyStoreError):
    """The keyring holds no such item."""


class KeyStoreCorrupt(KeyStoreError):
    """The keyring holds something else than what was stored."""


class StateUnavailable(RotatorError):
    """The disk of the state directory takes nothing: full, read-only or broken."""


class JournalError(RotatorError):
    """The journal cannot be opened, read, or begun: damaged, written by a newer rotator, or on a full disk."""


class JournalUnwritable(JournalError):
    """The journal may be sound, but its disk is full, read-only or broken, or another process has it for too long."""


class KeyMaterialError(RotatorError):
    """A key or certificate that cannot be read, is too weak, or does not fit its counterpart."""


class SecretUnavailable(RotatorError):
    """A `credential:`, `keyring:`, `file:` or `dpapi:` reference that cannot be resolved."""


class ServerError(RotatorError):
    """The server, or the way to it, failed.

    `unsent`: there was no connection that this one request could have gone through; of those before it that says nothing.
    """

    unsent: bool = False


class ServerUnreachable(ServerError):
    """No whole answer came: refused, reset, timed out. A change may have been applied all the same.

    `cut`: the connection ended under way, as one that was kept does when the server has restarted.
    """

    cut: bool = False


class TlsError(ServerError):
    """The TLS handshake failed: unknown root, wrong name, refused or expired client certificate, old protocol."""


class AuthenticationFailed(ServerError):
    """401, or a login page where data was due."""


class PermissionDenied(ServerError):
    """403."""


class NotFound(ServerError):
    """404."""


class BadRequest(ServerError):
    """400: from QRS a malformed request, from a proxy an unknown or unlinked prefix."""


class Conflict(ServerError):
    """409: somebody edited the entity since it was read."""


class ServerFault(ServerError):
    """5xx or 429."""


class UnexpectedAnswer(ServerError):
    """An answer that is not what the request asks for: HTML for JSON, wrong types, too large, cut short."""


class Refused(RotatorError):
    """What was asked would break a rule that rotator keeps; nothing was changed."""


class VerificationFailed(RotatorError):
    """A test login did not end as it must."""


class FoundWrong(RotatorError):
    """What a command that shows how things stand has found wrong. `reason` and `exit_status` are those of its result."""

    def __init__(self, message: str, *, hint: str | None, reason: str, exit_status: ExitStatus) -> None:
        super().__init__(message, hint=hint)
        self.found, self.exit_status = reason, exit_status

    @property
    def reason(self) -> str:
        """The result's."""
        return self.found


class SeenFromOutside(RotatorError):
    """What became of a process that could not say it for itself, as the daemon sees it."""


class RunFailed(SeenFromOutside):
    """A run was killed, or ended with a status of which no run tells."""


class RunTooLong(SeenFromOutside):
    """A run takes longer than its limit."""


class NotStarted(SeenFromOutside):
    """A process cannot be started."""


class LookFailed(SeenFromOutside):
    """A look does not learn what is due. `cause` is the error's own word, where it is known."""

    def __init__(self, message: str, *, hint: str | None = None, cause: str = "Failed") -> None:
        super().__init__(message, hint=hint)
        self.cause = cause

    @property
    def reason(self) -> str:
        """The cause as a word of its own: a look that succeeds ends this, and not what a run told of the same cause."""
        return f"Look{self.cause}"


class Undone(RotatorError):
    """The new key failed; the key that was current is back and was tested."""
