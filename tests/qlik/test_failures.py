"""What goes wrong on the way to a server, in words and as what is done about it."""

import json
import socket
import threading
from pathlib import Path

import pytest
import trustme

from rotator.errors import ServerUnreachable, UnexpectedAnswer
from rotator.model import User, Verdict
from rotator.qlik import first_contact, wire
from rotator.qlik.failures import excerpt, mapped
from rotator.qlik.login import judged
from rotator.qlik.routes import Route
from rotator.qlik.transport import Answer


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


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("see www.evil.example or WWW.evil.example", "see www .evil.example or WWW .evil.example"),
        ("*x* _y_ __z__ `code` ~gone~ ||hidden||", "?x? ?y? ??z?? ?code? ?gone? ??hidden??"),
        ("the field server_node_id is null", "the field server_node_id is null"),
    ],
)
def test_what_a_server_says_is_no_markup_of_a_chat(said: str, told: str) -> None:
    assert excerpt(said) == told


@pytest.mark.parametrize("name", ["[a](evil.com)", "a!b", "*a*", "`a`", "a b", "a/b", "a@b", "a?b", "", "a" * 254])
def test_a_name_of_a_host_has_the_characters_of_one(name: str) -> None:
    answer = Answer("GET", "https://x/qrs/servernodeconfiguration", 200, {}, {}, b"")
    with pytest.raises(UnexpectedAnswer, match="hostName as a name"):
        wire.node({"id": "1", "hostName": name}, answer)


@pytest.mark.parametrize("name", ["QLIK_1.example.com", "fe80::1", "b\u00fcro.example", "10.0.0.5"])
def test_names_that_hosts_have_are_taken(name: str) -> None:
    answer = Answer("GET", "https://x/qrs/servernodeconfiguration", 200, {}, {}, b"")
    assert wire.node({"id": "5a63-01", "hostName": name}, answer).host == name


@pytest.mark.parametrize("identity", ["alice@example.com", "_svc", "x" * 60, "a*b"])
def test_a_user_is_known_by_the_name_itself_and_told_without_markup(identity: str) -> None:
    body = json.dumps({"userDirectory": "CORP", "userId": identity}).encode()
    outcome = judged(Answer("GET", "u", 200, {}, {}, body), User("CORP", identity))
    assert (outcome.verdict, outcome.detail) == (Verdict.ACCEPTED, f"as CORP\\{excerpt(identity)}")
