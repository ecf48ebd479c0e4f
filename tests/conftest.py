"""What every test stands on: a clean environment, and no test that does not run."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings


pytest_plugins = [
    "sandbox_process",
    "channels",
    "first_configuration",
    "secret_service",
    "systemd_server",
    "worlds.fixtures",
]

TRAPS = (
    "PROXY",
    "CA_BUNDLE",
    "SSL_CERT",
    "SSLKEYLOG",
    "NETRC",
    "KEYRING",
    "ROTATOR_",
    "CREDENTIALS_DIRECTORY",
    "STATE_DIRECTORY",
)

settings.register_profile("default", deadline=None, print_blob=True, max_examples=60)
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="tests/reliability: every case, not a sample of them")
    parser.addoption("--times", type=int, default=1, metavar="N", help="tests/reliability: samples N times as large")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    seed = config.getoption("randomly_seed", None)
    if seed is not None:
        terminalreporter.write_line(f"samples drawn with --randomly-seed={seed}")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if any(trap in name.upper() for trap in TRAPS):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A test that is skipped has not shown anything: it counts as failed."""
    report = yield
    if report.skipped:  # type: ignore[attr-defined]
        report.outcome = "failed"  # type: ignore[attr-defined]
        report.longrepr = f"{item.nodeid} was skipped"  # type: ignore[attr-defined]
    return report
