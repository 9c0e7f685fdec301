"""One block, several channels: what stands behind the configuration cannot tell them from channels of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from broadcaster.registry import build, changed_channels, check_file
from broadcaster.settings import ConfigError, ConfigErrors, Loaded, load
from broadcaster.testing.servers import WEBHOOK_SECRET

CONFIGURATION = """\
mode: live
organisation: {name: E, country: SE, languages: [sv], timezone: Europe/Stockholm}
public: {url: "https://drift.example", listen: none}
store: {url: "sqlite:///var/b.db", key: "${KEY}"}
areas: {norra-ekbyn: {name: Norra Ekbyn}}
channels:
  page: {kind: page}
  hook:
    kind: webhook
    url: "https://one.example/in"
    secret: "${SECRET}"
    fallback: [press]
  press:
    kind: webhook
    urls:
      radio: "https://radio.example/in"
      paper: "file:paper"
    secret: "${SECRET}"
    deadline: 10s
    fallback: [spare]
  spare:
    kind: webhook
    urls: {one: "https://spare.example/1", two: "https://spare.example/2"}
    secret: "${SECRET}"
routes:
  - {severity: minor, channels: [page, press, hook, press-radio]}
follow_up: {next: 45m}
"""
ENVIRON = {"KEY": "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=", "SECRET": WEBHOOK_SECRET}

Load = Callable[..., Loaded]
Found = Callable[..., list[ConfigError]]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    def to_file(changes: dict[str, str]) -> Path:
        text = CONFIGURATION
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        paper = tmp_path / "paper"
        paper.touch(0o600)
        paper.write_text("https://paper.example/in", encoding="ascii")
        file = tmp_path / "broadcaster.yaml"
        file.write_text(text, encoding="utf-8")
        return file

    return to_file


@pytest.fixture
def read(write: Callable[[dict[str, str]], Path]) -> Load:
    return lambda changes=None: load(write(changes or {}), ENVIRON)


@pytest.fixture
def found(write: Callable[[dict[str, str]], Path]) -> Found:
    return lambda changes: [
        wrong for wrong in check_file(write(changes), ENVIRON) if not wrong.warning
    ]


def test_each_address_is_a_channel_named_after_the_block_and_its_name(read: Load) -> None:
    adapters = build(read())
    assert list(adapters) == [
        *("page", "hook", "press-radio", "press-paper", "spare-one", "spare-two")
    ]
    radio, paper = adapters["press-radio"], adapters["press-paper"]
    assert (radio.settings.url, radio.context.name) == ("https://radio.example/in", "press-radio")
    assert paper.settings.url == "https://paper.example/in"  # from its file
    assert radio.settings.deadline == paper.settings.deadline == 10.0


def test_a_route_and_a_fallback_that_name_the_block_name_them_all_once(read: Load) -> None:
    loaded = read()
    (route,) = loaded.settings.routes
    assert route.channels == ("page", "press-radio", "press-paper", "hook", "press-radio")
    adapters = build(loaded)
    assert adapters["hook"].settings.fallback == ("press-radio", "press-paper")
    assert adapters["press-paper"].settings.fallback == ("spare-one", "spare-two")


def test_a_channel_that_is_named_before_its_block_is_named_once(read: Load) -> None:
    (route,) = read({"page, press, hook, press-radio": "press-radio, page, press"}).settings.routes
    assert route.channels == ("press-radio", "page", "press-paper")


def test_a_reload_that_takes_one_address_out_changes_no_other_channel(read: Load) -> None:
    old = build(read())
    new = build(read({'      radio: "https://radio.example/in"\n': "", ", press-radio": ""}))
    assert changed_channels(old, new) == (
        (),
        ("press-radio",),
        ("hook",),
    )  # its fallback is another
    again = build(read())
    assert changed_channels(new, again) == (("press-radio",), (), ("hook",))


def test_a_reload_that_only_orders_them_anew_changes_nothing(read: Load) -> None:
    old = build(read())
    turned = '{two: "https://spare.example/2", one: "https://spare.example/1"}'
    written = '{one: "https://spare.example/1", two: "https://spare.example/2"}'
    order = {"fallback: [spare]": "fallback: [spare-one, spare-two]"}
    assert changed_channels(build(read(order)), build(read(order | {written: turned}))) == ((),) * 3
    assert list(old)[-2:] == ["spare-one", "spare-two"]


@pytest.mark.parametrize(
    ("old", "new", "line", "path", "part"),
    [
        ("https://radio.example/in", "radio", 16, "channels.press.urls.radio", "is not an address"),
        ("file:paper", "${NONE}", 17, "channels.press.urls.paper", "NONE is not set"),
        ("file:paper", "file:none", 17, "channels.press.urls.paper", "cannot be read"),
        ("deadline: 10s", "deadline: 10", 19, "channels.press.deadline", "with its unit"),
        ("deadline: 10s", "dedline: 10s", 19, "channels.press.dedline", 'did you mean "deadline"'),
        ("radio:", "Radio:", 16, "channels.press.urls.Radio", "small letters"),
        ("fallback: [spare]", "fallback: [hook, sparr]", 20, "channels.press.fallback[1]", "sparr"),
        ("page, press, hook, press-radio", "page, press, huk", 26, "routes[0].channels[2]", '"huk"'),
        ("  hook:", "  press-radio:", 16, "channels.press.urls.radio", "a channel \"press-radio\" already"),
        ("fallback: [spare]", "fallback: [press]", 20, "channels.press.fallback", "back to itself"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_where_it_is_written(
    found: Found, old: str, new: str, line: int, path: str, part: str
) -> None:
    told = [(wrong.line, wrong.path) for wrong in found({old: new}) if part in wrong.sentence]
    assert (line, path) in told


@pytest.mark.parametrize(
    "urls",
    [
        "[a, b]",
        "{}",
        "https://radio.example",
        '{a: "https://a.example"}\n    url: "https://b.example"',
    ],
)
def test_urls_that_are_not_names_with_addresses_are_refused_with_the_remedy(
    found: Found, urls: str
) -> None:
    spare = '{one: "https://spare.example/1", two: "https://spare.example/2"}'
    told = {wrong.path: wrong.sentence for wrong in found({spare: urls})}
    assert "names with an address each" in told["channels.spare.urls"]


def test_a_secret_written_out_is_told_at_its_place(found: Found) -> None:
    block = 'kind: mastodon\n    urls: {a: "https://a.example"}\n    token: in-the-open'
    (wrong,) = (
        one
        for one in found(
            {
                'kind: webhook\n    urls: {one: "https://spare.example/1", two: "https://spare.example/2"}\n    secret: "${SECRET}"': block
            }
        )
        if "a secret stands here" in one.sentence
    )
    assert wrong.path == "channels.spare.token"


def test_a_kind_without_url_says_that_it_has_none(read: Load) -> None:
    with pytest.raises(ConfigErrors, match=r"channels\.page\.urls\.a\n +unknown key \"url\""):
        build(read({"kind: page}": 'kind: page, urls: {a: "https://a.example"}}'}))


def test_the_digest_is_of_what_is_written(read: Load) -> None:
    first, second = read(), read()
    assert first.digest == second.digest
    assert read({"radio:": "news:", "press-radio": "press-news"}).digest != first.digest
    assert replace(first.source).document["channels"].keys() == build(first).keys()
