"""What goes wrong on the way to a server, in words and as what is done about it."""

import errno
import json
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme
from requests.exceptions import ConnectionError  # noqa: A004 - as requests calls it
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import NewConnectionError

from rotator.errors import ServerUnreachable, UnexpectedAnswer
from rotator.model import SYSTEM_CA, User, Verdict
from rotator.qlik import first_contact, tls, transport, wire
from rotator.qlik.failures import excerpt, mapped
from rotator.qlik.login import judged
from rotator.qlik.routes import Route
from rotator.qlik.transport import Answer
from rotator.setting import NO_ANSWER


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


def took_it_all(server: socket.socket, context: ssl.SSLContext, answer: bytes) -> bytes:
    """Read one request to its end over TLS, and answer it with bytes that are none of TLS's."""
    raw, _ = server.accept()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls, read = context.wrap_bio(incoming, outgoing, server_side=True), b""
    with raw:
        while not read.endswith(b"the certificate"):
            try:
                read += tls.read(65536)
            except ssl.SSLWantReadError:
                raw.sendall(outgoing.read())
                incoming.write(raw.recv(65536))
        raw.sendall(outgoing.read() + answer)
    return read


@pytest.mark.parametrize(
    "answer",
    [b"\x17\x03\x03\x00\x30" + b"x" * 48, b"HTTP/1.1 502 Bad Gateway\r\n\r\n", b"\x15\x03\x03\x00\x02\x02\x50"],
    ids=["a broken record", "a gateway without TLS", "an alert"],
)
def test_a_request_whose_answer_breaks_tls_may_have_been_done(answer: bytes, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "root.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as pool:
        arrived = pool.submit(took_it_all, server, context, answer)
        route = Route("127.0.0.1", server.getsockname()[1], "localhost", "localhost", str(tmp_path / "root.pem"))
        client = transport.Transport(route, tls.trusting(route.ca))
        with pytest.raises(NO_ANSWER) as caught:
            client.exchange("PUT", "/qrs/virtualproxyconfig/x", data=b"the certificate")
        assert arrived.result().startswith(b"PUT /qrs/virtualproxyconfig/x ")
    assert not caught.value.unsent
    assert "client certificate" not in caught.value.message


def test_a_server_that_is_not_trusted_is_sent_nothing() -> None:
    route = Route("127.0.0.1", 1, "localhost", "localhost", "x")
    distrusted = ssl.SSLCertVerificationError(1, "certificate verify failed")
    distrusted.verify_message = "self-signed certificate"
    assert mapped(distrusted, route, "PUT /x").unsent
    assert mapped(ConnectionRefusedError(), route, "PUT /x").unsent


def test_a_server_that_there_is_no_way_to_is_sent_nothing_and_the_cause_is_told() -> None:
    route = Route("10.0.0.5", 4242, "qlik", "qlik", "x")
    refused = NewConnectionError(HTTPSConnection("10.0.0.5"), "Failed to establish a new connection")
    refused.__cause__ = OSError(errno.EHOSTUNREACH, "No route to host")
    no_way = mapped(ConnectionError(refused), route, "PUT /x")
    assert no_way.message == "10.0.0.5:4242 cannot be reached: No route to host"
    assert no_way.unsent


def test_a_machine_without_room_for_a_thread_has_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a rotation too: the run goes on to its end, or undoes what it has done."""

    def full(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    route = Route("127.0.0.1", 1, "localhost", "localhost", SYSTEM_CA)
    client = transport.Transport(route, tls.trusting(route.ca))
    monkeypatch.setattr(threading.Thread, "start", full)
    with pytest.raises(ServerUnreachable, match="no room for a thread") as caught:
        client.exchange("PUT", "/qrs/virtualproxyconfig/x", data=b"the certificate")
    assert caught.value.unsent


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
