"""A TLS server that answers what it is told, with every way of misbehaving."""

import ssl
import threading
import warnings
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import trustme


Script = Callable[[BaseHTTPRequestHandler], None]


class Scripted:
    """Runs `script` for each request; `seen` are the requests' paths with their headers.

    It shows a certificate for `names`, or `certificate`, of an authority of its own or `authority`, whose root is in the
    file `root`. `shown` are the client certificates that it was shown, in DER.
    """

    def __init__(
        self,
        script: Script,
        folder: Path,
        *names: str,
        version: ssl.TLSVersion | None = None,
        authority: trustme.CA | None = None,
        certificate: trustme.LeafCert | None = None,
    ) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.shown: list[bytes] = []
        authority = authority or trustme.CA()
        self.root = folder / "scripted-root.pem"
        authority.cert_pem.write_to_path(str(self.root))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (certificate or authority.issue_cert(*(names or ("localhost",)))).configure_cert(context)
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_OPTIONAL
        if version is not None:
            with warnings.catch_warnings(action="ignore"):  # that it is old is the point
                context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
                context.maximum_version = version
            context.set_ciphers("ALL:@SECLEVEL=0")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.seen.append((self.path, dict(self.headers)))
                outer.shown += filter(None, [self.connection.getpeercert(binary_form=True)])
                script(self)

            do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - the standard library's names

            def log_message(self, *_: object) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                return

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def answering(status: int, body: bytes, **headers: str) -> Script:
    """The same answer to everything."""

    def script(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return script
