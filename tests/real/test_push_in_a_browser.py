"""The push page and its worker in a real Chromium. A browser of a test has no push service: that is what it says, calmly."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from broadcaster.testing.operators import CONFIGURATION, Daemonless
from broadcaster.testing.peers import PEERS

pytestmark = [pytest.mark.real("chromium"), pytest.mark.real("axe-core")]
KEY = "UOkk9ZyN2-BWgqzLhBBmNvS2-pm2GnyuwGD2Y_1gjyQ"
PUSH = f"  push: {{kind: webpush, key: {KEY}, contact: 'mailto:drift@ekbyn.example', services: ['127.0.0.1:9']}}\n"
CONFIGURED = (
    CONFIGURATION.replace("  sms:\n", PUSH + "  sms:\n").replace(
        "channels: [page, hook, sms]", "channels: [page, hook, push, sms]"
    )
    + "residents: {channels: [push]}\n"
)
ARTEFACTS = Path(__file__).parents[2] / "artefacts" / "follow"
MESSAGE = {
    "web_push": 8030,
    "notification": {
        "title": "Strömavbrott i Norra Ekbyn",
        "body": "Orsak okänd, montör på väg.",
        "lang": "sv",
        "navigate": "https://ekbyn.example/incidents/a7/",
        "tag": "https://ekbyn.example/incidents/a7/",
    },
}


@pytest.fixture(scope="module")
def browser(chromium_path: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        flags = [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-background-networking",
        ]
        browser = playwright.chromium.launch(executable_path=chromium_path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[str]:
    with Daemonless(tmp_path, CONFIGURED) as door:
        yield f"http://127.0.0.1:{door.inbound.port}"


@pytest.fixture
def opened(browser: Browser, origin: str) -> Iterator[BrowserContext]:
    context = browser.new_context()
    context.grant_permissions(["notifications"], origin=origin)
    yield context
    context.close()


def at(context: BrowserContext, address: str) -> Page:
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.goto(address)
    assert wrong == []
    return page


def test_without_the_script_the_page_says_what_else_there_is(browser: Browser, origin: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{origin}/follow/push/")
    expect(page.get_by_text("E-post, SMS och flöden behöver inget.")).to_be_visible()
    expect(page.get_by_role("button")).to_be_hidden()
    context.close()


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_reads_well_everywhere_and_has_no_barrier(
    browser: Browser, origin: str, width: int, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 740},
        color_scheme=scheme,  # type: ignore[arg-type]  # light or dark
        bypass_csp=True,  # axe is put into the page; that nothing else runs there says another test
    )
    page = at(context, f"{origin}/follow/push/")
    page.add_script_tag(path=PEERS["axe-core"].path("axe"))
    found = page.evaluate("axe.run()")
    assert [each["id"] for each in found["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"push-{width}-{scheme}.png", full_page=True)
    context.close()


def test_a_browser_that_no_push_service_knows_is_told_so_and_the_form_stays(
    opened: BrowserContext, origin: str
) -> None:
    page = at(opened, f"{origin}/follow/push/")
    page.get_by_label("Norra Ekbyn").check()
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_contain_text("push-tjänst", timeout=30_000)
    expect(page.get_by_label("Norra Ekbyn")).to_be_checked()
    expect(page.get_by_role("button")).to_be_enabled()


def test_who_does_not_allow_it_is_told_where_to(browser: Browser, origin: str) -> None:
    context = browser.new_context()
    page = at(context, f"{origin}/follow/push/")
    page.evaluate("Notification.requestPermission = async () => 'denied'")
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_contain_text("inställningar")
    context.close()


def test_the_worker_shows_what_is_pushed_and_a_newer_word_takes_the_place_of_the_older(
    opened: BrowserContext, origin: str
) -> None:
    page = at(opened, f"{origin}/follow/push/")
    page.evaluate(
        """async () => {
            await navigator.serviceWorker.register('/follow/worker.js', {scope: '/follow/'});
            await navigator.serviceWorker.ready;
        }"""
    )
    for text in ("Orsak okänd, montör på väg.", "Strömmen är åter."):
        said = MESSAGE | {"notification": MESSAGE["notification"] | {"body": text}}  # type: ignore[operator]  # a mapping
        push(page, origin, json.dumps(said))
    page.wait_for_function(
        """async () => {
            const found = await (await navigator.serviceWorker.ready).getNotifications();
            return found.length === 1 && found[0].body === 'Strömmen är åter.'
                && found[0].title === 'Strömavbrott i Norra Ekbyn' && found[0].lang === 'sv';
        }"""
    )


def test_what_is_no_message_of_ours_is_shown_to_nobody(opened: BrowserContext, origin: str) -> None:
    page = at(opened, f"{origin}/follow/push/")
    page.evaluate(
        """async () => {
            await navigator.serviceWorker.register('/follow/worker.js', {scope: '/follow/'});
            await navigator.serviceWorker.ready;
        }"""
    )
    for text in ("", "hej", "{}", "null", '{"notification": null}'):
        push(page, origin, text)
    push(page, origin, json.dumps(MESSAGE))
    page.wait_for_function(
        """async () => {
            const found = await (await navigator.serviceWorker.ready).getNotifications();
            return found.length === 1 && found[0].body === 'Orsak okänd, montör på väg.';
        }"""
    )


def push(page: Page, origin: str, text: str) -> None:
    """As the browser does when its push service has something for it."""
    session = page.context.new_cdp_session(page)
    found: list[str] = []
    session.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda told: found.extend(each["registrationId"] for each in told["registrations"]),
    )
    session.send("ServiceWorker.enable")
    page.wait_for_function("navigator.serviceWorker.ready.then(() => true)")
    until = time.monotonic() + 30
    while not found and time.monotonic() < until:
        page.wait_for_timeout(20)  # events are heard only while the page is asked something
    session.send(
        "ServiceWorker.deliverPushMessage",
        {"origin": origin, "registrationId": found[0], "data": text},
    )
    session.detach()
