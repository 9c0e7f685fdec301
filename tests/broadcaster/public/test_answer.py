"""Which answer a request gets: pure look-up, no process."""

import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path

import pytest

from broadcaster.bundle import Bundle, File, Overdue
from broadcaster.public.answer import Answer, answer
from broadcaster.public.conditions import accepted
from broadcaster.public.site import Site

TEXT = "Strömavbrott i Norra Ekbyn. " * 40
STYLE = "body{margin:0}"
PAGE = f"<!DOCTYPE html><html lang=sv><head><style>{STYLE}</style></head><p>{TEXT}".encode()
PROMISE = datetime(2026, 11, 22, 15, 50, tzinfo=UTC).timestamp()
NOW = PROMISE - 3600

LINKS = (("self", "https://a.example/told.atom"), ("hub", "https://hub.example/?a=1,b"))

Ask = Callable[..., Answer]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    html = "text/html; charset=utf-8"
    late = Overdue(datetime.fromtimestamp(PROMISE, UTC), PAGE.replace(b"Norra", b"SEN"))
    Bundle(tmp_path, "page").publish(
        "1.1",
        [
            File("index.html", PAGE, html, late),
            File("incidents/a7/index.html", PAGE, html),
            File("archive/1/index.html", PAGE, html, immutable=True),
            File("feed.json", b'{"a":1}', "application/feed+json"),
            File("feed.atom", b"<feed/>" * 99, "application/atom+xml; charset=utf-8"),
            File("told.atom", b"<feed/>", "application/atom+xml", links=LINKS),
            File("map.svg", b"<svg/>", "image/svg+xml"),
        ],
    )
    site = Site(tmp_path)
    site.look()
    return site


@pytest.fixture
def ask(site: Site) -> Ask:
    def asking(
        path: str, method: str = "GET", now: float = NOW, https: bool = False, **headers: str
    ) -> Answer:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return answer(site.table, method, path, given.get, now, https=https)

    return asking


def header(found: Answer, name: str) -> str | None:
    values = [value for key, value in found.headers if key == name]
    assert len(values) <= 1, f"{name} stands twice"
    return values[0] if values else None


@pytest.mark.parametrize(
    ("wanted", "coding"),
    [
        (None, None),
        ("", None),
        ("gzip", "gzip"),
        ("br", "br"),
        ("gzip, deflate, br", "br"),
        ("gzip, br;q=0", "gzip"),
        ("gzip;q=0, br;q=0", None),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("*", "br"),
        ("*;q=0", None),
        ("br;q=0, *", "gzip"),
        ("identity", None),
        ("identity;q=1, gzip;q=0.5", None),
        ("identity;q=0.5, gzip", "gzip"),
        ("GZIP;Q=0.8", "gzip"),
        ("gzip ; q = 0", None),
        ("gzip;q=nonsense", "gzip"),
        ("gzip;q=1.2.3", None),
        ("x-gzip, zstd", None),
        (",,;,=,q=,;q=", None),
        ("gzip," * 2000, None),
    ],
)
def test_the_encoding_the_client_likes_best_is_sent(
    ask: Ask, wanted: str | None, coding: str | None
) -> None:
    found = ask("/incidents/a7/", accept_encoding=wanted) if wanted is not None else ask("/")
    assert (found.status, header(found, "content-encoding")) == (200, coding)
    assert header(found, "vary") == "Accept-Encoding"
    if coding == "gzip":
        assert found.body is not None
        assert gzip.decompress(found.body) == PAGE


def test_what_is_too_small_to_compress_is_sent_plain(ask: Ask) -> None:
    assert accepted("br, gzip") == ("br", "gzip")
    assert header(ask("/feed.json", accept_encoding="br, gzip"), "content-encoding") is None


def test_every_encoding_has_its_own_strong_etag(ask: Ask) -> None:
    tags = [header(ask("/", accept_encoding=coding), "etag") for coding in ("", "gzip", "br")]
    assert len(set(tags)) == 3
    assert all(tag and tag.startswith('"') for tag in tags)


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', 'W/"a,b" , W/{}', "*", " * "])
def test_an_unchanged_page_is_not_sent_again(ask: Ask, form: str) -> None:
    full = ask("/", accept_encoding="br")
    found = ask("/", accept_encoding="br", if_none_match=form.format(header(full, "etag")))
    assert (found.status, found.body) == (304, None)
    for name in ("etag", "vary", "cache-control", "last-modified", "content-security-policy"):
        assert header(found, name) == header(full, name)
    assert header(found, "content-type") is None


@pytest.mark.parametrize("form", ['"other"', "", "{bare}", "W/", '"' * 5000])
def test_another_validator_gets_the_page(ask: Ask, form: str) -> None:
    tag = header(ask("/"), "etag") or ""
    found = ask(
        "/",
        if_none_match=form.replace("{bare}", tag.strip('"')),
        if_modified_since=formatdate(NOW + 1e9, usegmt=True),  # must not count beside a tag
    )
    assert found.status == 200


def test_the_date_alone_is_a_validator_too(ask: Ask) -> None:
    date = header(ask("/"), "last-modified") or ""
    assert ask("/", if_modified_since=date).status == 304
    assert ask("/", if_modified_since="Sun, 06 Nov 1994 08:49:37 GMT").status == 200
    for nonsense in ("", "yesterday", "Sun, 99 Nov 2026 00:00:00 GMT", "0" * 99):
        assert ask("/", if_modified_since=nonsense).status == 200


def test_two_changes_in_one_second_have_two_dates(site: Site, ask: Ask, tmp_path: Path) -> None:
    dates = [header(ask("/feed.json"), "last-modified")]
    for n in range(2, 5):
        Bundle(tmp_path, "page").publish(
            f"1.{n}", [File("feed.json", b"%d" % n, "application/feed+json")]
        )
        site.look()
        assert ask("/feed.json", if_modified_since=dates[-1]).status == 200
        dates.append(header(ask("/feed.json"), "last-modified"))
    assert len(set(dates)) == 4


def test_a_broken_promise_shows_by_itself(ask: Ask) -> None:
    before, after = ask("/", now=PROMISE - 0.01), ask("/", now=PROMISE)
    assert before.body
    assert after.body
    assert b"SEN" not in before.body
    assert b"SEN" in after.body
    tag, date = header(before, "etag") or "", header(before, "last-modified") or ""
    assert ask("/", now=PROMISE, if_none_match=tag).status == 200
    assert ask("/", now=PROMISE - 1, if_none_match=tag).status == 304
    if datetime.now(UTC).timestamp() < PROMISE:  # the file is older than its promise
        assert ask("/", now=PROMISE, if_modified_since=date).status == 200


def test_no_copy_outlives_the_promise_printed_in_it(ask: Ask) -> None:
    assert "max-age=20," in (header(ask("/", now=NOW), "cache-control") or "")
    assert "max-age=7," in (header(ask("/", now=PROMISE - 7), "cache-control") or "")
    assert "max-age=1," in (header(ask("/", now=PROMISE - 0.2), "cache-control") or "")
    assert "max-age=20," in (header(ask("/", now=PROMISE + 5), "cache-control") or "")


def test_the_archive_may_be_kept_longer(ask: Ask) -> None:
    assert header(ask("/incidents/a7/"), "cache-control") == (
        "public, max-age=20, stale-while-revalidate=60, stale-if-error=86400"
    )
    assert "max-age=3600" in (header(ask("/archive/1/"), "cache-control") or "")


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/incidents/a7", "a7/"),
        ("/index.html", "./"),
        ("/incidents/a7/index.html", "../a7/"),
        ("/incidents/A7/", "../../incidents/a7/"),
        ("/incidents/A7", "../incidents/a7/"),
        ("/FEED.json", "feed.json"),
    ],
)
def test_another_spelling_is_led_to_the_one_address(ask: Ask, path: str, location: str) -> None:
    from urllib.parse import urljoin

    found = ask(path)
    assert found.status == 301
    target = urljoin(f"https://drift.example/proxied{path}", header(found, "location"))
    assert target == urljoin(f"https://drift.example/proxied{path}", location)
    assert ask(target.removeprefix("https://drift.example/proxied")).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "//incidents/a7",
        "//evil.example",
        "/\\evil.example",
        "/incidents/../feed.json",
        "/incidents//a7/",
        "/.manifest/page.json",
        "/.manifest/",
        "/.index.html.new",
        "/index.overdue.html",
        "/index.html.gz",
        "/index.html.br",
        "/healthz",
        "/metrics",
        "/docs",
        "/etc/passwd",
        "/åäö",
        "/" + "a" * 9000,
    ],
)
def test_nothing_but_published_addresses_is_there(ask: Ask, path: str) -> None:
    found = ask(path)
    assert found.status == 404
    assert header(found, "location") is None
    assert found.body
    assert path.encode() not in found.body


@pytest.mark.parametrize("path", ["", "*", "/a\0b", "/a\r\nset-cookie: x", "evil.example/"])
def test_what_is_no_address_is_refused(ask: Ask, path: str) -> None:
    assert ask(path).status == 400


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "FOO"]
)
def test_the_public_side_can_only_be_read(ask: Ask, method: str) -> None:
    found = ask("/", method)
    assert (found.status, header(found, "allow")) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("path", "method"), [("/", "GET"), ("/feed.json", "GET"), ("/no", "GET"), ("/", "POST")]
)
def test_every_answer_carries_the_security_headers(ask: Ask, path: str, method: str) -> None:
    found = ask(path, method)
    policy = header(found, "content-security-policy") or ""
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "base-uri 'none'" in policy
    assert "unsafe" not in policy
    assert header(found, "x-content-type-options") == "nosniff"
    assert header(found, "referrer-policy") == "no-referrer"
    assert "geolocation=()" in (header(found, "permissions-policy") or "")
    assert header(found, "cross-origin-resource-policy") in {"same-origin", "cross-origin"}
    assert header(found, "vary") == "Accept-Encoding"
    assert header(found, "strict-transport-security") is None
    assert header(ask(path, method, https=True), "strict-transport-security") is not None


def test_only_the_pages_own_style_may_style_it(ask: Ask) -> None:
    import base64
    import hashlib

    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in (header(ask("/"), "content-security-policy") or "")
    assert "style-src 'none';" in (header(ask("/feed.json"), "content-security-policy") or "")
    lost = header(ask("/no"), "content-security-policy") or ""
    assert "style-src 'sha256-" in lost
    assert digest not in lost


def test_feeds_are_for_everyones_programs_and_pages_are_not(ask: Ask) -> None:
    for path in ("/feed.json", "/feed.atom"):
        assert header(ask(path), "access-control-allow-origin") == "*"
        assert header(ask(path), "cross-origin-resource-policy") == "cross-origin"
    for path in ("/", "/map.svg", "/no"):
        assert header(ask(path), "access-control-allow-origin") is None
        assert header(ask(path), "cross-origin-resource-policy") == "same-origin"


def test_a_documents_links_stand_in_one_header(ask: Ask) -> None:
    told = '<https://a.example/told.atom>; rel="self", <https://hub.example/?a=1,b>; rel="hub"'
    first = ask("/told.atom")
    assert header(first, "link") == told
    assert header(ask("/told.atom", if_none_match=header(first, "etag") or ""), "link") == told
    assert header(ask("/feed.atom"), "link") is None


def test_error_pages_speak_both_languages(ask: Ask) -> None:
    body = (ask("/no").body or b"").decode()
    assert "Sidan finns inte" in body
    assert '<section lang="en">' in body
    assert "There is no such page" in body


def test_before_anything_is_published_it_asks_for_patience(tmp_path: Path) -> None:
    site = Site(tmp_path / "missing")
    site.look()
    found = answer(site.table, "GET", "/", dict[str, str]().get, NOW)
    assert (found.status, header(found, "retry-after")) == (503, "5")
