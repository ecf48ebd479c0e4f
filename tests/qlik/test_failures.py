"""What goes wrong on the way to a server, in words and as what is done about it."""

import socket
import threading
from pathlib import Path

import pytest
import trustme

from rotator.errors import ServerUnreachable
from rotator.qlik import first_contact
from rotator.qlik.failures import mapped
from rotator.qlik.routes import Route


def test_what_is_tried_again_does_not_hang_on_words() -> None:
    route = Route("127.0.0.1", 1, "localhost", "localhost", "x")
    cut, late = (
        mapped(error, route, "GET /cut the connection") for error in (ConnectionResetError(), TimeoutError("timed out"))
    )
    assert isinstance(cut, ServerUnreachable)
    assert isinstance(late, ServerUnreachable)
    assert (cut.cut, late.cut) == (True, False)


def test_a_server_that_cuts_the_handshake_is_told_in_a_whole_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def cut() -> None:
            server.accept()[0].close()

        thread = threading.Thread(target=cut)
        thread.start()
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(tmp_path / "root.pem"))
        with pytest.raises(ServerUnreachable) as caught:
            first_contact.greet(Route("127.0.0.1", port, "localhost", "localhost:1", str(tmp_path / "root.pem")))
        thread.join()
    assert caught.value.message == "localhost:1 cut the connection in the middle of the handshake"
