"""How a test asks for a real server or browser, and how the run says which were missing."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcaster.testing import peers
from broadcaster.testing.peers import PEERS, Peer, PostgresServer

# The suites that ship for authors of adapters show the values of a failed assertion as tests do.
pytest.register_assert_rewrite(
    "broadcaster.testing.contract", "broadcaster.testing.contract_letters"
)

_NEEDS = re.compile(r"needs the real (.+?): make peers")
_FIXTURES = {
    "postgresql": "postgresql",
    "postgresql_url": "postgresql",
    "kannel": "kannel",
    "small_disk": "tmpfs",
    "chromium_path": "chromium",
    "axe_path": "axe-core",
    "html_validate_path": "html-validate",
}


def _peers_of(item: pytest.Item) -> list[str]:
    """The peers a test names by mark, then those its fixtures stand for, each once."""
    marked = [name for mark in item.iter_markers("real") for name in mark.args]
    asked = [_FIXTURES[name] for name in getattr(item, "fixturenames", ()) if name in _FIXTURES]
    return list(dict.fromkeys(marked + asked))


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """What a test runs of the product may change it for the whole process, as `serve` does: not for the next test."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def loopback_only(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse, as an audit hook of the interpreter, a connection that would leave this machine."""
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = str(arguments[1][0])
        if host != "localhost" and not host.startswith(("127.", "::1", "::ffff:127.")):
            raise RuntimeError(f"a test connected to {host}: tests reach loopback only")


def pytest_configure(config: pytest.Config) -> None:
    sys.addaudithook(loopback_only)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        names = _peers_of(item)
        if unknown := set(names) - set(PEERS):
            raise pytest.UsageError(
                f"{item.nodeid}: no peer {sorted(unknown)}; known: {', '.join(PEERS)}"
            )
        if names:
            item.add_marker(pytest.mark.real(*names))
    # Files with long tests first, so that several processes end together.
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


def pytest_runtest_setup(item: pytest.Item) -> None:
    absent = [name for name in _peers_of(item) if PEERS[name].missing()]
    if not absent:
        return
    sentence = f"needs the real {' and '.join(absent)}: make peers"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{sentence} (with CI=true a missing peer is a failure)", pytrace=False)
    pytest.skip(sentence)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # Read from the reports, because tests may have run in several processes.
    reports = [*terminalreporter.stats.get("skipped", ()), *terminalreporter.stats.get("error", ())]
    counts = Counter(
        name
        for report in reports
        for found in _NEEDS.findall(str(report.longrepr))[:1]
        for name in found.split(" and ")
    )
    if not counts:
        return
    terminalreporter.section("REAL PEERS MISSING: THIS RUN PROVES LESS", red=True, bold=True)
    for name, count in sorted(counts.items()):
        lacks = ", ".join(PEERS[name].missing())
        terminalreporter.line(f"{name} (no {lacks}): {count} tests did not run", red=True)
    brings = "`make peers` brings them, as root or with sudo; large ones `make peers PEERS=all`."
    terminalreporter.line(brings, red=True)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """A server of our own; call it for the URL of a fresh database."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def postgresql_url(postgresql: PostgresServer) -> Iterator[str]:
    """The URL of an empty database, dropped after the test."""
    url = postgresql.database()
    yield url
    postgresql.drop(url)


@pytest.fixture(scope="session")
def kannel() -> Peer:
    """Where bearerbox, smsbox and fakesmsc are: ``kannel.path("bearerbox")``."""
    return PEERS["kannel"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder that is a file system of two mebibytes."""
    folder = tmp_path / "small"
    with peers.small_disk(folder):
        yield folder


@pytest.fixture(scope="session")
def chromium_path() -> Path:
    """The browser for playwright's ``executable_path``."""
    return PEERS["chromium"].path("chromium")


@pytest.fixture(scope="session")
def axe_path() -> Path:
    """The script to load into a page before ``axe.run()``."""
    return PEERS["axe-core"].path("axe")


@pytest.fixture(scope="session")
def html_validate_path() -> Path:
    """The command-line HTML checker."""
    return PEERS["html-validate"].path("html_validate")
