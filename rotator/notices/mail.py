"""A notice as a mail, handed to the local sendmail on its standard input."""

from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

from rotator import executables
from rotator.model import Notice
from rotator.notices.channel import Unsent
from rotator.report import notice as report


@dataclass(frozen=True, slots=True)
class Mail:
    """`sender` is who it comes from, None: whom the mail system takes for the account that runs rotator."""

    to: tuple[str, ...]
    sender: str | None
    sendmail: Path
    name: str = "mail"

    def send(self, notice: Notice) -> None:
        """Hand it over: sendmail's yes says that it is queued on this machine."""
        command: Sequence[str | Path] = (
            self.sendmail,
            "-i",
            *(("-f", self.sender) if self.sender else ()),
            "--",
            *self.to,
        )
        try:
            executables.run(command, {}, message(notice, self.to, self.sender), secret=False)
        except executables.Failed as failed:
            raise Unsent(f"failed: {self.sendmail} {failed}") from None


def message(notice: Notice, to: Sequence[str], sender: str | None) -> bytes:
    """The whole mail. The same notice has the same Message-ID, so that mail systems can drop a second copy."""
    mail = EmailMessage()
    mail["Subject"] = report.subject(notice)
    if sender:
        mail["From"] = sender
    mail["To"] = ", ".join(to)
    mail["Date"] = notice.at
    mail["Message-ID"] = f"<{notice.id}@rotator.invalid>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(report.body(notice))
    return mail.as_bytes()
