"""The channels that a notice goes out by. They know not each other, and nothing of what a notice tells."""

from collections.abc import Mapping

from rotator.model import Notify
from rotator.notices import hooks
from rotator.notices.channel import Channel
from rotator.notices.mail import Mail
from rotator.notices.webhook import Webhook


__all__ = ["Channel", "channels"]


def channels(settings: Notify, environ: Mapping[str, str]) -> tuple[Channel, ...]:
    """Every channel of the configuration, each hook by itself. One that cannot be used says so when it is used."""
    found: list[Channel] = []
    if settings.webhook is not None:
        found.append(Webhook(settings.webhook, settings.webhook_ca, environ))
    if settings.mail:
        found.append(Mail(settings.mail, settings.mail_from, settings.sendmail))
    if settings.hooks is not None:
        found += hooks.channels(settings.hooks)
    return tuple(found)
