"""What else differs on Windows: output that has a code page, services without a name, loops without signal handlers."""

import asyncio
import ctypes
import getpass
import io
import os
import signal
import sys
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from rotator import accounts, hardening
from rotator.cli import app
from rotator.sandbox import site


def test_a_character_that_the_code_page_lacks_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="cp850") for _ in range(2)]
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", streams[0])
        patched.setattr(sys, "stderr", streams[1])
        with pytest.raises(UnicodeEncodeError):
            print("rotator …")  # noqa: T201
        app._printable()
        print("a → b …")  # noqa: T201
        streams[0].flush()
    assert b"a ? b ?" in streams[0].buffer.getvalue()


@pytest.mark.parametrize("error", [ImportError("No module named 'pwd'"), OSError("No username set in the environment")])
def test_a_service_without_a_name_has_one(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def nameless() -> NoReturn:
        raise error

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert accounts.current() == "an unnamed account"


def test_crash_reports_leave_out_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    library = SimpleNamespace(WerSetFlags=asked.append)
    with monkeypatch.context() as patched:
        patched.setattr(ctypes, "WinDLL", lambda _: library, raising=False)
        patched.setattr(sys, "platform", "win32")
        hardening.undumpable()
    assert asked == [hardening.NO_HEAP]


def test_the_sandbox_stops_where_loops_have_no_signal_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any) -> NoReturn:
        raise NotImplementedError

    before = signal.getsignal(signal.SIGTERM)

    async def stopped() -> bool:
        stop = asyncio.Event()
        monkeypatch.setattr(asyncio.get_running_loop(), "add_signal_handler", none)
        with monkeypatch.context() as patched:
            patched.setattr(sys, "platform", "win32")
            site._on_signal(signal.SIGTERM, stop)
        os.kill(os.getpid(), signal.SIGTERM)
        return await asyncio.wait_for(stop.wait(), 10)

    try:
        assert asyncio.run(stopped())
    finally:
        signal.signal(signal.SIGTERM, before)
