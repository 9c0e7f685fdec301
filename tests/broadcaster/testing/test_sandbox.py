"""The sandbox shows what people would have received, and nothing in it leaves the machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import requests

from broadcaster.testing.sandbox import Sandbox
from broadcaster.testing.servers import WEBHOOK_SECRET, read_journal, unavailable
from broadcaster.testing.servers.webhook import signature

BEARER = {"Authorization": "Bearer anything"}
OAUTH = {"Authorization": 'OAuth oauth_token="a", oauth_signature="b"'}
EVIL = "<script>alert(1)</script> & åäö"


class Seen(HTMLParser):
    """The words and the tags of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def toot(box: Sandbox, text: str, **fields: str) -> str:
    url = f"{box.url}/mastodon/api/v1/statuses"
    fields["status"] = text
    return str(requests.post(url, data=fields, headers=BEARER, timeout=5).json()["id"])


def tweet(box: Sandbox, text: str) -> requests.Response:
    return requests.post(f"{box.url}/x/2/tweets", json={"text": text}, headers=OAUTH, timeout=5)


def sms(box: Sandbox, text: str, to: str = "+46701234567", callback: str = "") -> None:
    fields = {"username": "u", "password": "p", "from": "Ekbyn", "to": to, "text": text}
    fields |= {"dlr-mask": "3", "dlr-url": callback}
    url = f"{box.url}/sms/kannel/cgi-bin/sendsms"
    assert requests.get(url, params=fields, timeout=5).status_code == 202


def hook(box: Sandbox, body: bytes, id_: str = "m1") -> int:
    now = str(int(time.time()))
    headers = {
        "webhook-id": id_,
        "webhook-timestamp": now,
        "webhook-signature": signature(WEBHOOK_SECRET, id_, now, body),
    }
    url = f"{box.url}/webhook/outage"
    return requests.post(url, data=body, headers=headers, timeout=5).status_code


def page(box: Sandbox, query: str = "") -> requests.Response:
    return requests.get(f"{box.url}/{query}", timeout=5)


def test_every_far_end_lives_under_its_own_path(box: Sandbox) -> None:
    toot(box, "en")
    assert tweet(box, "två").status_code == 201
    sms(box, "tre")
    assert hook(box, b'"fyra"') == 200
    fields = {"from": "E", "to": "+46701234567", "message": "fem"}
    requests.post(f"{box.url}/sms/46elks/a1/sms", data=fields, auth=("u", "p"), timeout=5)
    assert [(e.server, e.text) for e in box.effects] == [
        ("mastodon", "en"),
        ("x", "två"),
        ("sms", "tre"),
        ("webhook", '"fyra"'),
        ("sms", "fem"),
    ]
    assert box.mastodon.texts() == ["en"]
    assert requests.post(f"{box.url}/mastodonx", timeout=5).status_code == 404


def test_a_status_is_found_at_the_address_it_was_given(box: Sandbox) -> None:
    status = box.mastodon.statuses[toot(box, "Strömmen är borta")]
    assert status["url"].startswith(f"{box.url}/mastodon/@ekbyn/")
    assert "Strömmen är borta" in requests.get(status["url"], timeout=5).text


def test_the_page_says_in_two_languages_that_nothing_left(box: Sandbox) -> None:
    text = Seen(page(box).text).text
    assert "Allt här är attrapper. Inget har lämnat den här datorn" in text
    assert "Nothing has left this machine" in text


def test_the_page_shows_phones_threads_and_webhooks(box: Sandbox) -> None:
    first = toot(box, "Strömmen är borta", language="sv")
    toot(box, "Åter 19.00", in_reply_to_id=first)
    tweet(box, "Strömmen är borta, X")
    sms(box, "x" * 161)
    hook(box, b'{"text":"hej"}')
    text = Seen(page(box).text).text
    for wanted in ("+46701234567", "GSM-7", "2 delar · parts", "Åter 19.00", "X", '{"text":"hej"}'):
        assert wanted in text


def test_the_newest_phone_and_thread_stand_first(box: Sandbox) -> None:
    old = toot(box, "gammal tråd")
    toot(box, "ny tråd")
    sms(box, "först", "+46701111111")
    sms(box, "sist", "+46702222222")
    text = page(box).text
    assert text.index("+46702222222") < text.index("+46701111111")
    assert text.index("ny tråd") < text.index("gammal tråd")
    toot(box, "svar", in_reply_to_id=old)
    text = page(box).text
    assert text.index("gammal tråd") < text.index("svar") < text.index("ny tråd")


def test_a_blast_shows_a_dozen_phones_and_counts_the_rest(box: Sandbox) -> None:
    for number in range(15):
        sms(box, "hej", f"+4670123450{number:02d}")
    seen = Seen(page(box).text)
    assert seen.tags.count("article") == 12
    assert "And 3 more phones" in seen.text


def test_an_edited_and_a_deleted_post_are_struck(box: Sandbox) -> None:
    url = f"{box.url}/mastodon/api/v1/statuses/"
    requests.put(url + toot(box, "fel"), data={"status": "rätt"}, headers=BEARER, timeout=5)
    requests.delete(url + toot(box, "bort"), headers=BEARER, timeout=5)
    text = page(box).text
    assert "<del>fel</del>" in text
    assert "<del>bort</del>" in text
    assert "<del>rätt</del>" not in text


@pytest.mark.parametrize("where", [toot, tweet, sms])
def test_what_was_sent_is_shown_inert(box: Sandbox, where: Any) -> None:
    where(box, EVIL)
    hook(box, EVIL.encode())
    seen = Seen(page(box).text)
    assert "script" not in seen.tags
    assert seen.text.count("<script>alert(1)</script>") == 2


def test_the_page_needs_no_script_and_allows_none(box: Sandbox) -> None:
    reply = page(box)
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    assert '<meta http-equiv="refresh"' in reply.text
    assert '<meta http-equiv="refresh"' not in page(box, "?still").text


def test_the_same_for_machines_newest_first(box: Sandbox) -> None:
    toot(box, "en")
    sms(box, "två")
    content = requests.get(f"{box.url}/received.json", timeout=5).json()
    assert content["total"] == 2
    assert [row["text"] for row in content["received"]] == ["två", "en"]
    assert content["received"][0]["more"]["parts"] == 1
    assert "nothing left this machine" in content["note"]


def test_a_fault_for_one_far_end_leaves_the_others_alone(box: Sandbox) -> None:
    box.x.always(unavailable())
    assert tweet(box, "x").status_code == 503
    toot(box, "hej")
    assert box.texts() == ["hej"]


def test_a_report_the_daemon_did_not_take_is_shown(box: Sandbox) -> None:
    sms(box, "hej", callback=f"{box.url}/nowhere?%d")
    gateway = box.gateways["kannel"]
    gateway.wait_for(lambda far: len(far.reported) == 1)
    assert "report not taken (404)" in Seen(page(box).text).text


def test_it_runs_as_a_command_and_keeps_a_journal(tmp_path: Path) -> None:
    journal = tmp_path / "received.jsonl"
    code = f"from broadcaster.testing.sandbox import run; run(port=0, journal={str(journal)!r})"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        url = server.stdout.readline().decode().split()[0].rstrip("/")
        data = {"status": "hej"}
        posted = requests.post(
            f"{url}/mastodon/api/v1/statuses", data=data, headers=BEARER, timeout=5
        )
        assert posted.status_code == 200
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait(5) == 0
    assert [effect.text for effect in read_journal(journal)] == ["hej"]
    assert json.loads(journal.read_text("utf-8"))["server"] == "mastodon"
