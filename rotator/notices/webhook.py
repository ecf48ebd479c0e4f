"""A notice as JSON to an https URL: verified TLS, no redirects, a deadline. The URL is never shown, but for its host."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from rotator.config.channels import checked_url
from rotator.config.values import Wrong
from rotator.errors import RotatorError
from rotator.keystore.secret_refs import read_text
from rotator.model import Notice, SecretRef
from rotator.notices.channel import Unsent
from rotator.qlik import routes, tls
from rotator.qlik.transport import Answer, Transport
from rotator.report.notice import document


LIMIT: Final = 15.0
"""Seconds for the whole exchange."""
_HIDDEN: Final = "/…"


@dataclass(frozen=True, slots=True)
class Webhook:
    """`given` is the URL or where it is kept, `ca` a file or "system"."""

    given: str | SecretRef = field(repr=False)
    ca: str
    environ: Mapping[str, str] = field(repr=False)
    name: str = "webhook"

    def send(self, notice: Notice) -> None:
        """POST it. Every answer of 2xx is a yes."""
        data = json.dumps(document(notice)).encode()
        try:
            answer = self._posted(self._url(), data)
        except RotatorError as error:
            raise Unsent(f"failed: {error.message}") from None
        if 200 <= answer.status < 300:  # noqa: PLR2004 - success, RFC 9110
            return
        what = "redirects, which is not followed" if 300 <= answer.status < 400 else "does not take it"  # noqa: PLR2004
        raise Unsent(f"failed: {urlsplit(answer.url).hostname} {what} (status {answer.status})")

    def _posted(self, url: str, data: bytes) -> Answer:
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        route = routes.to_webhook(url, self.ca)
        headers = {"Content-Type": "application/json", "Accept": "*/*"}
        transport = Transport(route, tls.trusting(self.ca), shown=_HIDDEN)
        return transport.exchange("POST", path, headers=headers, data=data, limit=LIMIT)

    def _url(self) -> str:
        if isinstance(self.given, str):
            return self.given
        url = read_text(self.given, self.environ).strip()
        try:
            return checked_url(url)
        except Wrong as wrong:
            raise Unsent(f"failed: {self.given} {wrong}") from None
