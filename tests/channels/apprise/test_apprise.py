"""The real plugins of Apprise, driven against a sink: what arrives, what each answer means, and what never gets out."""

from __future__ import annotations

import ast
import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from html import unescape
from itertools import zip_longest
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import apprise
import pytest
import requests
from pydantic import ValidationError

from broadcaster.channel import (
    CanConfirm,
    CanFind,
    CanWithdraw,
    ChannelContext,
    Failure,
    Mode,
    Notice,
    Permanent,
    Rendered,
    Scope,
    Transient,
    Uncertain,
)
from broadcaster.httpclient import Deadline, Reach, Redaction, Transport, guard_session
from broadcaster.testing.notices import attempt, context, message, notice
from broadcaster.testing.outage import OUTAGE, agrees, measure, post as say, sent
from broadcaster.testing.servers import answers, too_many
from broadcaster.testing.servers.chats import Chats
from channels.apprise import AppriseAdapter
from channels.apprise.errand import STAND_IN, Errand
from channels.apprise.service import _PLUGINS, _judge, escaped

GOLDEN = Path(__file__).parent / "golden"
TELEGRAM = "tgram://123456789:abcdefg_hijklmnop/12315544/"
SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general"
SLACK_BOT = "slack://xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d/#general"
DISCORD = "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"
TEAMS = "workflows://prod.example:443/3ccdd113474722377935511fc85d3dd4/sig-of-the-flow"
JOINER = "\u2060"


class Rerouted(Transport):
    """Carries what a plugin addresses to its service to a sink, the service's name put before the path."""

    def __init__(self, base: str) -> None:
        super().__init__(Reach(None))
        self._base = base

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        parts = urlsplit(request.url or "")
        request.url = f"{self._base}/{parts.hostname}{parts.path}"
        return super().send(request, *args, **kwargs)


def adapter(url: str, surroundings: ChannelContext | None = None, **more: Any) -> AppriseAdapter:
    written = {"kind": "apprise", "url": url, **more}
    settings = AppriseAdapter.Settings.model_validate(written)
    return AppriseAdapter(settings, surroundings or context())


Make = Callable[[str], AppriseAdapter]


@pytest.fixture
def far() -> Iterator[Chats]:
    with Chats() as far:
        yield far


@pytest.fixture
def speaking(far: Chats) -> Iterator[Make]:
    """Makes adapters whose plugins call the sink instead of their services."""
    made = []

    def make(url: str) -> AppriseAdapter:
        made.append(adapter(url))
        made[-1]._session.close()
        made[-1]._session = guard_session(requests.Session(), Rerouted(far.url))
        return made[-1]

    yield make
    for one in made:
        one.close()


def refusal(url: str) -> str:
    with pytest.raises(ValidationError) as caught:
        adapter(url)
    return str(caught.value.errors()[0]["ctx"]["error"])


# ----------------------------------------------------------------------------------------------------- what is said
def rendered(url: str = "json://h/x", **changes: Any) -> Rendered:
    return adapter(url).render(notice(**changes), {})


@pytest.mark.parametrize(("url", "most"), [(TEAMS, 1000), (DISCORD, 2000), (TELEGRAM, 4000)])
def test_what_a_service_does_not_hold_becomes_several_messages_and_nothing_is_cut(
    url: str, most: int
) -> None:
    text = "Montör är på väg till platsen. " * (most // 31 + 5)
    said = rendered(url, text=text.strip(), mode=Mode.DRILL, mode_label="ÖVNING")
    assert said.limit == most >= said.used
    assert len(said.texts) == 2
    assert all(one.body.startswith("ÖVNING: ") for one in said.texts)
    assert sum(
        one.body.count("Montör är på väg till platsen.") for one in said.texts
    ) == text.count(".")


def test_an_emoji_counts_as_the_two_units_that_telegram_counts() -> None:
    assert rendered(text="😀").used == rendered(text="a").used + 1


@pytest.mark.parametrize(
    "plain",
    [
        "info@allservice.se",
        "info@herrljunga.se",
        "info@all.se",
        "https://x.example/@all/karta",
        "https://x.example/?for=@here",
        "@allservice",
    ],
)
def test_an_address_or_link_that_looks_like_a_call_stays_as_it_is(plain: str) -> None:
    assert plain in rendered(text=f"Skriv till {plain} nu.").texts[0].body


@pytest.mark.parametrize(
    "call",
    ["@everyone", "(@here)", "@Channel!", "_@all_", "@room", "<!channel>", "<@U123>", "<#C12>"],
)
def test_no_word_calls_everybody_to_their_phones(call: str) -> None:
    (text,) = rendered(text=f"Hej {call} nu.").texts
    assert call not in text.body
    assert text.body.replace(JOINER, "").count(call) == 1
    assert "kris@ekbyn.example" in rendered(text="Skriv till kris@ekbyn.example.").texts[0].body


def test_marks_are_shown_as_they_are_and_links_stay_links() -> None:
    assert escaped("*a* [b](c) d_e <f> `g`") == r"\*a\* \[b\](c) d\_e \<f\> \`g\`"
    plain = "Norra Ekbyn sedan 14.05 - se https://x.example/a_b*c. Nr 3!"
    assert escaped(plain) == plain
    assert escaped("a\n- b\n# c\n1+1") == "a\n\\- b\n\\# c\n1+1"


# ------------------------------------------------------------------------------------------- real plugins, one sink
SERVICES = {
    "json://h/x": "h",
    "form://h/x": "h",
    "ntfys://h/ekbyn": "h",
    "gotify://h/token12345": "h",
    "mmost://h/3ccdd113474722377935511fc85d3dd4": "h",
    "rocket://aaaaaaaaaaaaaaaaaaaaaaaa/bbbbbbbbbbbbbbbbbbbbbbbb@h/": "h",
    "nctalk://kris:pass@h/room": "h",
    "signal://h/+46701740605/+46701740606": "h",
    TELEGRAM: "api.telegram.org",
    SLACK: "hooks.slack.com",
    DISCORD: "discord.com",
    TEAMS: "prod.example",
    "gchat://workspace/key/token": "chat.googleapis.com",
    f"pover://{'u' * 30}@{'t' * 30}": "api.pushover.net",
    f"zulip://bot@ekbyn/{'a' * 32}/kris": "ekbyn.zulipchat.com",
    f"wxteams://{'a' * 80}": "api.ciscospark.com",
}


FORMS = ("json://h/x", "form://h/x", TELEGRAM, SLACK, DISCORD, TEAMS)


@pytest.mark.parametrize("url", SERVICES, ids=lambda url: str(url).partition(":")[0])
def test_a_service_gets_the_text_whole_in_one_request(far: Chats, speaking: Make, url: str) -> None:
    tried = speaking(url)
    (text,) = tried.render(notice(text="Orsaken är *okänd*, a < b & c."), {}).texts
    receipt = tried.post(message(body=text.body), attempt())
    (effect,) = far.effects
    assert effect.kind == SERVICES[url] == tried.hosts()[0]
    arrived = unescape(effect.text).replace("\\", "").replace("\r\n", "\n")
    assert arrived.removeprefix("Ekbyns Energi\n") == text.body
    assert notice().link in effect.text
    assert receipt.detail == f"{effect.kind} answered 200."
    assert len(far.requests) == 1


@pytest.mark.parametrize("name", OUTAGE)
def test_what_goes_out_stands_word_for_word_in_a_file(
    far: Chats, speaking: Make, name: str
) -> None:
    """As plain text, as HTML and as Markdown: each service gets the form that its plugin speaks."""
    agrees(GOLDEN / f"{name}.txt", *told(far, speaking, OUTAGE[name].notice))


def test_marks_go_out_as_each_form_has_to_write_them(far: Chats, speaking: Make) -> None:
    said = notice(text="Orsaken är *okänd*, a < b & c, @here: se [kartan](x) och _vänta_.")
    agrees(GOLDEN / "with-marks.txt", *told(far, speaking, said))


def told(far: Chats, speaking: Make, said: Notice) -> list[str]:
    """What each service gets; Slack is told the time of day, which no file can hold."""
    rendered = [measure(say(speaking(url), said)) for url in FORMS]
    out = sent(far)
    assert len(out) == len(FORMS)
    now = re.compile(r'"ts": [\d.]+')
    return [*dict.fromkeys(rendered), *(now.sub('"ts": "now"', each) for each in out)]


def test_what_grows_on_its_way_is_not_cut(far: Chats, speaking: Make) -> None:
    """Marks are escaped behind our count; whether the service takes so many letters is the service's to say."""
    tried = speaking(TEAMS)
    (text,) = tried.render(notice(text=f"{'*' * 700} slut"), {}).texts
    tried.post(message(body=text.body), attempt())
    (effect,) = far.effects
    assert len(effect.text) > 1000
    assert effect.text.replace("\\", "") == text.body


def test_no_plugin_sleeps_between_its_requests(
    far: Chats, speaking: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("apprise.url.time.sleep", slept.append)
    found = json.dumps({"ok": True, "user": {"id": "U123"}})
    said = json.dumps({"ok": True, "channel": "U123"})
    far.next(answers(200, found), answers(200, said))
    speaking(SLACK_BOT.replace("#general", "elsa@ekbyn.example")).post(message(), attempt())
    assert len(far.requests) == 2
    assert slept == []


def test_no_picture_of_a_third_party_goes_along(far: Chats, speaking: Make) -> None:
    for url in (DISCORD, SLACK, TEAMS, "mmost://h/3ccdd113474722377935511fc85d3dd4?image=yes"):
        speaking(url).post(message(), attempt())
    assert not [effect for effect in far.effects if "github" in json.dumps(effect.more)]


REFUSALS: list[tuple[str, int, str, type[Failure], Scope]] = [
    (TELEGRAM, 401, "Unauthorized", Permanent, Scope.CHANNEL),
    (TELEGRAM, 403, "bot was blocked", Permanent, Scope.CHANNEL),
    (TELEGRAM, 400, "chat not found", Permanent, Scope.MESSAGE),
    (SLACK, 404, "no_service", Permanent, Scope.MESSAGE),
    (SLACK, 410, "channel_is_archived", Permanent, Scope.MESSAGE),
    (DISCORD, 500, "", Uncertain, Scope.MESSAGE),
    (DISCORD, 503, "", Transient, Scope.MESSAGE),
    (SLACK_BOT, 200, '{"ok":false,"error":"invalid_auth"}', Uncertain, Scope.MESSAGE),
    (SLACK, 200, "no_text", Uncertain, Scope.MESSAGE),
]


@pytest.mark.parametrize(("url", "status", "said", "kind", "scope"), REFUSALS)
def test_a_no_is_told_apart_by_the_answer_that_the_plugin_got(
    far: Chats,
    speaking: Make,
    url: str,
    status: int,
    said: str,
    kind: type[Failure],
    scope: Scope,
) -> None:
    far.always(answers(status, said))
    with pytest.raises(kind) as refused:
        speaking(url).post(message(), attempt())
    assert type(refused.value) is kind
    assert refused.value.scope is scope
    assert str(status) in refused.value.sentence
    assert said in refused.value.reply
    assert len(far.requests) == 1


def test_a_plugin_that_would_try_again_by_itself_does_not(far: Chats, speaking: Make) -> None:
    far.always(too_many(7))
    with pytest.raises(Transient) as refused:
        speaking(DISCORD).post(message(), attempt())
    assert refused.value.retry_after == 7
    assert len(far.requests) == 1


def test_a_token_of_the_address_is_never_said(far: Chats, speaking: Make) -> None:
    tried = speaking(TELEGRAM)
    assert set(tried.secrets()) == {TELEGRAM, "123456789:abcdefg_hijklmnop"}
    far.always(answers(401, "no bot has 123456789:abcdefg_hijklmnop"))
    with pytest.raises(Permanent) as refused:
        tried.post(message(), attempt())
    assert "abcdefg" not in refused.value.sentence + refused.value.reply + repr(tried.settings)


def test_apprise_writes_no_log_of_its_own(
    far: Chats, speaking: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Its messages hold addresses."""
    caplog.set_level(0)
    speaking(TELEGRAM).post(message(), attempt())
    assert not [record for record in caplog.records if record.name.startswith("apprise")]
    assert logging.getLogger("apprise").disabled


def test_it_declares_what_it_cannot() -> None:
    tried = adapter("json://h/x")
    assert not isinstance(tried, CanFind | CanConfirm | CanWithdraw)
    assert not tried.repeatable


# --------------------------------------------------------------------------------------------------------- errands
def errand(far: Chats, body: str = "Strömavbrott i Norra Ekbyn") -> Errand:
    session = guard_session(requests.Session(), Transport(Reach(None)))
    return Errand(session, Redaction(()), Deadline(5.0), body)


def test_what_is_refused_after_the_text_was_taken_may_have_gone(far: Chats) -> None:
    def twice() -> bool:
        STAND_IN.post(f"{far.url}/x", json={"text": "Strömavbrott i Norra Ekbyn"})
        far.next(answers(429))
        STAND_IN.post(f"{far.url}/x/seen", json={"text": "7"})
        return True

    run = errand(far)
    assert not run.run(twice)
    assert type(run.failure) is Uncertain


def test_what_is_refused_after_a_login_was_not_taken(far: Chats) -> None:
    def login_first() -> bool:
        STAND_IN.post(f"{far.url}/login", json={"text": "token"})
        far.next(answers(429))
        STAND_IN.post(f"{far.url}/x", json={"text": "Strömavbrott i Norra Ekbyn"})
        return True

    run = errand(far)
    assert not run.run(login_first)
    assert type(run.failure) is Transient


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_plugin_that_hides_a_failure_is_not_believed(far: Chats, elsewhere: bool) -> None:
    def hides() -> bool:
        far.next(answers(401))
        try:
            STAND_IN.post(f"{far.url}/x", json={"text": "a"})
        except Exception:  # noqa: BLE001 - as a plugin does
            if elsewhere:
                STAND_IN.post(f"{far.url}/elsewhere", json={"text": "a"})
        return True

    run = errand(far)
    assert not run.run(hides)
    assert type(run.failure) is Permanent
    assert len(far.requests) == 1


def test_a_yes_without_a_question_is_no_yes(far: Chats) -> None:
    assert not errand(far).run(lambda: True)


def test_a_probe_takes_any_answer_and_goes_nowhere_else(far: Chats) -> None:
    """Slack and Telegram lead whoever asks at their front door to their documents."""
    tried = adapter(f"json://{far.host}:{far.port}/x")
    for status in (200, 302, 403, 404, 500):
        far.next(answers(status, "", {"Location": f"{far.url}/elsewhere"}))
        assert tried.probe(attempt()).good
    assert {request.method for request in far.requests} == {"HEAD"}
    assert {request.path for request in far.requests} == {"/"}
    drill = adapter("json://192.0.2.1/x", context(Mode.DRILL, ()))
    assert not drill.probe(attempt()).good


def test_outside_an_errand_no_plugin_gets_out(far: Chats) -> None:
    plugin: Any = apprise.Apprise.instantiate(f"json://{far.host}:{far.port}/x")
    with pytest.raises(RuntimeError, match="outside an errand"):
        plugin.notify(body="x")
    with pytest.raises(AttributeError):
        STAND_IN.Session()
    assert not far.requests


def test_every_module_of_apprise_that_calls_out_was_taken_over() -> None:
    adapter("json://h/x")
    package = Path(str(apprise.__file__)).parent
    asking = {
        ".".join(("apprise", *path.relative_to(package).with_suffix("").parts))
        for path in package.rglob("*.py")
        if any(name.startswith(("requests", "urllib3")) for name in imports_of(path))
    }
    asking = {name.removesuffix(".__init__") for name in asking}
    asking -= {"apprise.config.http"}  # reads lists of addresses, which are not offered
    assert len(asking) > 150
    assert [name for name in asking if sys.modules[name].requests is not STAND_IN] == []


def test_what_the_plugin_asks_of_time_outs_redirects_and_certificates_is_ours(far: Chats) -> None:
    run = errand(far)
    far.next(answers(302, "", {"Location": f"{far.url}/elsewhere"}))
    asked = {"verify": False, "allow_redirects": True, "timeout": 999, "proxies": {"http": "x"}}
    assert not run.run(lambda: STAND_IN.post(f"{far.url}/x", data="a", **asked))
    assert run.failure is not None
    assert "redirect" in run.failure.sentence


# ------------------------------------------------------------------------------------------------ what is not carried
@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("bogus://x", "no such service"),
        ("x", "no such service"),
        ("json://", "cannot read this json://"),
        ("json://[", "this json://"),
        ("http://[", "no such service"),
        ("xmpp://kris:pass@h", "not carried"),
        ("mailto://kris:pass@ekbyn.example", "not carried"),
        ("mqtt://h/topic", "not carried"),
        ("dbus://", "not carried"),
        ("syslog://", "not carried"),
        ("windows://", "not carried"),
        ("apprise://h/token", "not carried"),
        ("kodi://h", "drops the rest"),
        ("tgram://123456789:abcdefg_hijklmnop/1/2", "names 2 receivers"),
        (f"{SLACK}/#another", "names 2 receivers"),
        (f"{SLACK},#another", "behind a # within a name"),
        (f"{SLACK_BOT},#another", "behind a # within a name"),
        ("rocket://kris:pass@h/#a,#b", "behind a # within a name"),
        ("tgram://123456789:abcdefg_hijklmnop/", "names no receiver"),
        ("tgram://123456789:abcdefg_hijklmnop/?detect=yes", "names no receiver"),
        ("matrixs://kris:pass@h/", "names no receiver"),
        ("46elks://user:pass@+46701740605", "write to the sender's own"),
        ("46elks://user:pass@+46701740605/nobody", "write to the sender's own"),
        (f"twilio://AC{'a' * 32}:{'b' * 32}@46701740605", "write to the sender's own"),
        (f"twilio://AC{'a' * 32}:{'b' * 32}@46701740605/46701740605", "write to the sender's own"),
        (f"plivo://{'a' * 25}@{'b' * 40}/46701740605", "write to the sender's own"),
        (f"msgbird://{'a' * 25}/46701740605", "write to the sender's own"),
        ("signal://h/46701740605", "write to the sender's own"),
        (f"mailgun://a@ekbyn.example/{'a' * 32}-abcdefgh-abcdefgh", "write to the sender's own"),
        ("sendgrid://abcdef:a@ekbyn.example", "write to the sender's own"),
        ("resend://re_abcdef:a@ekbyn.example", "write to the sender's own"),
        (f"smtp2go://a@ekbyn.example/api-{'0' * 32}", "write to the sender's own"),
        (f"vonage://abcdefgh:{'b' * 16}@46701740605/46701740606", "its yes cannot be told"),
        (f"nexmo://abcdefgh:{'b' * 16}@46701740605/46701740606", "its yes cannot be told"),
        ("dingtalk://abcd1234efgh", "its yes cannot be told"),
        ("wecombot://693a91f6-7000-4bc4-97a0-0ec2sifa5aaa", "its yes cannot be told"),
        ("lark://abcdef12-3456-7890-abcd-ef1234567890", "its yes cannot be told"),
        ("feishu://abcdef12-3456-7890-abcd-ef1234567890", "its yes cannot be told"),
        ("json://h?retry=3", "must not set retry"),
        ("json://h?Verify=no&overflow=split", "must not set overflow, verify"),
        (f"{SLACK}?template=/etc/passwd", "must not set template"),
    ],
)
def test_an_address_that_no_channel_can_be_made_of_is_refused_without_being_said(
    url: str, part: str
) -> None:
    said = refusal(url)
    assert part in said
    assert "pass" not in said
    assert "abcdefg" not in said


@pytest.mark.parametrize(
    "url",
    [
        "46elks://user:pass@Ekbyn/+46701740606",
        "bulksms://id:secret@+46701740606",
        "clicksend://user:key@+46701740606",
        "d7sms://token@+46701740606",
        "smsmgr://key@46701740606",
        "dapnet://DF1ABC:pass@DF1DEF",
        f"zulip://drift@org/{'a4' * 16}/drift",
        f"mmosts://kris@mm.example/{'3c' * 16}?channel=kris",
        "nctalk://ops:pass@cloud.example/ops",
        f"twilio://AC{'a' * 32}:{'b' * 32}@46701740605/46701740606",
        f"msgbird://{'a' * 25}/46701740605/46701740606",
        "signal://h/46701740605/46701740606",
        "resend://re_abcdef:a@ekbyn.example/jour@ekbyn.example",
        f"pover://{'u' * 30}@{'t' * 30}",  # all devices of an account: it names whose
        f"pbul://{'a' * 34}",
        "mastodons://token@h",
        "json://h/x",
    ],
)
def test_an_address_that_names_whom_it_is_for_is_carried(url: str) -> None:
    assert adapter(url).hosts() != ("",)


def test_a_webhook_that_stands_in_for_a_room_needs_no_room_named() -> None:
    assert adapter("matrixs://kris:token@h/?mode=slack").hosts() == ("h",)


ANOTHER_WAY = {"socket", "smtplib", "subprocess", "asyncio", "paho", "slixmpp", "pika", "proton"}
ANOTHER_WAY |= {"ssl", "smpplib", "http", "ftplib", "telnetlib", "multiprocessing", "dbus", "gi"}


def test_no_plugin_that_is_carried_knows_another_way_out() -> None:
    """Judged by what their files import, of the version that is locked."""
    adapter("json://h/x")
    carried = set()
    for schema in _PLUGINS.schemas():
        try:
            _judge(schema, f"{schema}://")
        except ValueError:
            continue
        carried |= {
            each.__module__
            for each in _PLUGINS[schema].__mro__
            if each.__module__.startswith("apprise.plugins.")
        }
    carried.discard(
        "apprise.plugins.base"
    )  # pauses and pools of Apprise itself, which are not used
    assert len(carried) > 120
    wrong = {
        (name, imported)
        for name in carried
        for imported in imports_of(Path(str(sys.modules[name].__file__)))
        if imported in ANOTHER_WAY
        or imported.endswith(("utils.socket", ".HTTPPolicy", ".HTTPPolicySession"))
    }
    assert wrong == set()


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "") if node.level else (node.module or "").split(".")[0]
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_page_names_what_was_tried_and_how_much_it_holds() -> None:
    page = Path(__file__).parents[3] / "docs/channels/apprise.md"
    rows = re.findall(
        r"^\| .* \| (`.*) \| (.*) \|$", page.read_text("utf-8").split("## Tried")[1], re.MULTILINE
    )
    told = {
        schema: int(most.replace(",", ""))
        for schemas, holds in rows
        for schema, most in zip_longest(
            re.findall(r"(\w+)://", schemas), holds.split(", "), fillvalue=holds.split(", ")[0]
        )
    }
    tried = {url.partition(":")[0]: rendered(url).limit for url in SERVICES}
    assert told == tried


def test_a_drill_calls_no_service_that_is_not_listed() -> None:
    tried = adapter(TELEGRAM, context(Mode.DRILL, ()))
    assert tried.hosts() == (
        "api.telegram.org",
    )  # so `config check` refuses it; and the socket does
    with pytest.raises(Permanent, match="Drill and demo") as refused:
        adapter("json://192.0.2.1/x", context(Mode.DRILL, ())).post(message(), attempt())
    assert refused.value.scope is Scope.CHANNEL


def test_apprise_is_not_loaded_where_it_is_not_used() -> None:
    script = "import sys, broadcaster.daemon.running, channels; sys.exit('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
