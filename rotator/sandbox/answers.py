"""Answers in the forms that Qlik uses: JSON, plain text, pages."""

import json
from typing import Any, Final

from aiohttp import web


PAGE_BYTES: Final = 88 * 1024
_STYLE: Final = "<style>" + ".qlik-error { margin: 0; padding: 0; font-family: sans-serif; }\n" * 1600 + "</style>"


def as_json(value: Any, status: int = 200) -> web.Response:  # noqa: ANN401 - JSON
    """A JSON answer."""
    return web.Response(text=json.dumps(value), status=status, content_type="application/json")


def text(said: str, status: int) -> web.Response:
    """A plain text answer: errors of QRS are never JSON."""
    return web.Response(text=said, status=status, content_type="text/plain")


def page(said: str, status: int) -> web.Response:
    """A styled page of 88 KB, as proxies answer."""
    body = f"<!DOCTYPE html><html><head><title>Qlik Sense</title>{_STYLE}</head><body><h1>{said}</h1></body></html>"
    return web.Response(text=body.ljust(PAGE_BYTES), status=status, content_type="text/html")


def empty(status: int = 204) -> web.Response:
    """An answer without a body."""
    return web.Response(status=status)
