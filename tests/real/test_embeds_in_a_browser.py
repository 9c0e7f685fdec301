"""The frame and the badge as a municipality shows them: on a site of another origin, with a strict policy of its own.

What it looks like is drawn into artefacts/embeds/.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from broadcaster.channel import Attempt
from broadcaster.public.answer import answer
from broadcaster.public.site import Site
from broadcaster.testing.boards import NOW, board, context, minutes, power_cut, states
from channels.page import PageAdapter

ARTEFACTS = Path(__file__).parents[2] / "artefacts" / "embeds"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
ATTEMPT = Attempt(number=1, at=NOW, not_after=minutes(60), deadline=10)
LATE = minutes(46)
Answering = Callable[[BaseHTTPRequestHandler], tuple[int, list[tuple[str, str]], bytes]]


@contextmanager
def listening(answering: Answering) -> Iterator[int]:
    """Answer GET on a loopback port; yields the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answering(self)
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


class Ours:
    """Our pages as the public server answers for them, at a time that the test sets."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.now = NOW
        self.site = Site(folder)

    def show(self, state: str) -> None:
        adapter = PageAdapter(
            PageAdapter.Settings(kind="page"), context(public_directory=str(self._folder))
        )
        adapter.show(states()[state], ATTEMPT)
        self.site.look()

    def __call__(self, request: BaseHTTPRequestHandler) -> tuple[int, list[tuple[str, str]], bytes]:
        found = answer(
            self.site.table, "GET", request.path, request.headers.get, self.now.timestamp()
        )
        return found.status, list(found.headers), found.body or b""


class Municipality:
    """Another site: the page it shows, under a policy that permits frames and images of ours and nothing else."""

    def __init__(self, ours: int) -> None:
        self.body = ""
        self._policy = (
            f"default-src 'none'; frame-src http://127.0.0.1:{ours}; "
            f"img-src http://127.0.0.1:{ours}"
        )

    def __call__(self, _: BaseHTTPRequestHandler) -> tuple[int, list[tuple[str, str]], bytes]:
        headers = [
            ("content-type", "text/html; charset=utf-8"),
            ("content-security-policy", self._policy),
        ]
        page = (
            '<!DOCTYPE html><html lang="sv"><head><title>Ekbyns kommun</title></head>'
            f"<body><h1>Ekbyns kommun</h1>{self.body}</body></html>"
        )
        return 200, headers, page.encode()


@pytest.fixture(scope="module")
def browser(chromium_path: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def ours(tmp_path: Path) -> Ours:
    return Ours(tmp_path)


@pytest.fixture
def shown(ours: Ours, browser: Browser) -> Iterator[Callable[..., tuple[Page, list[str]]]]:
    """Show markup on the municipality's site; gives the page and what its console said."""
    with listening(ours) as here, listening(there := Municipality(here)) as elsewhere:
        opened: list[Page] = []

        def show(markup: str, **options: Any) -> tuple[Page, list[str]]:
            there.body = markup.replace("OURS", f"http://127.0.0.1:{here}")
            page = browser.new_page(**options)
            opened.append(page)
            heard: list[str] = []
            page.on("console", lambda message: heard.append(message.text))
            page.goto(f"http://localhost:{elsewhere}/", wait_until="load")
            return page, heard

        yield show
        for page in opened:
            page.close()


def frame(path: str, width: int = 320, height: int = 320) -> str:
    return f'<iframe src="OURS{path}" title="Driftläge" width="{width}" height="{height}"></iframe>'


@pytest.mark.real("chromium")
def test_the_frame_is_shown_on_another_origin(ours: Ours, shown: Any) -> None:
    ours.show("one")
    page, heard = shown(frame("/embed/"))
    told = page.frames[1].locator("body").inner_text()
    assert "Strömavbrott i Norra Ekbyn" in told
    assert "Nästa besked senast 15.50" in told
    assert heard == []


@pytest.mark.real("chromium")
def test_no_other_page_of_ours_can_be_framed(ours: Ours, shown: Any) -> None:
    ours.show("one")
    for path in ("/", "/incidents/a7/", "/areas/", "/archive/"):
        page, heard = shown(frame(path))
        assert any("frame-ancestors" in line for line in heard), path
        assert "Ekbyn" not in page.frames[1].locator("body").inner_text()


@pytest.mark.real("chromium")
def test_the_link_opens_the_whole_in_a_window_of_its_own(ours: Ours, shown: Any) -> None:
    ours.show("one")
    page, _ = shown(frame("/areas/norra-ekbyn/embed/"))
    with page.context.expect_page() as opening:
        page.frames[1].locator("a").click()
    assert opening.value.url.endswith("/areas/norra-ekbyn/")
    assert opening.value.locator("h1").inner_text() == "Strömavbrott i Norra Ekbyn"
    assert opening.value.evaluate("window.opener") is None
    opening.value.close()


@pytest.mark.real("chromium")
def test_after_a_broken_promise_the_frame_and_the_badge_say_so(ours: Ours, shown: Any) -> None:
    ours.show("one")
    ours.now = LATE
    page, _ = shown(frame("/embed/"))
    assert "Det har inte kommit." in page.frames[1].locator("body").inner_text()
    drawn = page.context.request.get(page.frames[1].url.replace("embed/", "badge.svg"))
    assert "Beskedet vi lovade har inte kommit" in drawn.text()
    assert drawn.headers["cache-control"].startswith("public, max-age=20,")


@pytest.mark.real("chromium")
def test_the_badge_is_drawn_where_only_markup_is_allowed(ours: Ours, shown: Any) -> None:
    ours.show("three")
    snippet = (
        '<a href="OURS/"><img src="OURS/badge.svg" width="360" height="56" alt="Driftläge"></a>'
    )
    page, heard = shown(snippet)
    assert page.evaluate("document.images[0].complete && document.images[0].naturalWidth") == 360
    assert heard == []


@pytest.mark.real("chromium", "axe-core")
@pytest.mark.parametrize("state", sorted(states()))
def test_axe_finds_nothing_and_nothing_is_cut_off_however_narrow(
    state: str, ours: Ours, shown: Any, axe_path: Path
) -> None:
    """Drawn in a narrow column, light and dark, and judged inside the frame."""
    ours.show(state)
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        markup = "".join(
            (
                frame("/embed/", 200, 620),
                " ",
                frame("/embed/", 360, 620),
                '<p><img src="OURS/badge.svg" width="360" height="56" alt="Driftläge"></p>',
            )
        )
        page, _ = shown(markup, viewport={"width": 640, "height": 830}, color_scheme=scheme)
        for framed in page.frames[1:]:
            assert framed.evaluate("document.documentElement.scrollWidth <= innerWidth")
            framed.evaluate(axe_path.read_text())
            found = framed.evaluate("axe.run()")["violations"]
            assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
        page.screenshot(path=ARTEFACTS / f"{state}.{scheme}.png")


@pytest.mark.real("html-validate")
def test_html_validate_finds_nothing(html_validate_path: Path, tmp_path: Path) -> None:
    for state, shown_board in (*states().items(), ("many", board(*[power_cut()] * 9))):
        folder = tmp_path / "pages" / state
        folder.mkdir(parents=True)
        adapter = PageAdapter(
            PageAdapter.Settings(kind="page"),
            context(shown_board.mode, public_directory=str(tmp_path)),
        )
        for file in adapter.files(shown_board):
            if file.path.endswith("embed/index.html"):
                name = file.path.replace("/", ".")
                (folder / name).write_bytes(file.body)
                if file.overdue:
                    (folder / f"late.{name}").write_bytes(file.overdue.body)
    settings = tmp_path / "rules.json"
    settings.write_text(json.dumps({"root": True, "extends": ["html-validate:recommended"]}))
    told = tmp_path / "told.json"
    with told.open("wb") as out:
        subprocess.run(
            [
                html_validate_path,
                *("--config", str(settings), "--formatter", "json"),
                str(tmp_path / "pages"),
            ],
            stdout=out,
            stderr=subprocess.PIPE,
            timeout=100,
            check=False,
        )
    found = [
        f"{file['filePath']}:{m['line']} {m['ruleId']}: {m['message']}"
        for file in json.loads(told.read_bytes())
        for m in file["messages"]
    ]
    assert found == []
