"""Words that mean something to a database are words here, in every field, path and query of the API (T30)."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from broadcaster.testing.operators import Daemonless, Reply

# After the payload lists of sqlmap: boundaries, boolean, error, union, stacked, time and comment forms.
CORPUS = (
    *("'", '"', "`", "''", "\\'", "')", "'))", "';", "' --", "'/*", "'#", "%", "_", "\\"),
    *("' OR '1'='1", "' OR 1=1--", '" OR ""="', "') OR ('1'='1", "1 OR 1=1", "1) OR (1=1", "A1' OR 'a'='a"),
    *("' AND 1=1--", "' AND 1=2--", "1 AND 1=1", "A1' AND SLEEP(5)--", "A1 AND 1=1", "' AND '1'='2"),
    *("' UNION SELECT NULL--", "' UNION SELECT digest, name FROM token--", "' UNION ALL SELECT NULL,NULL--"),
    *("1 UNION SELECT sql FROM sqlite_master", "') UNION SELECT address FROM subscriber--", "-1 UNION SELECT 1"),
    *("'; DROP TABLE incident;--", "'; DELETE FROM token;--", "1; DROP TABLE incident", "'; VACUUM;--"),
    *("'; UPDATE token SET role='admin';--", "'; INSERT INTO token VALUES(1);--", "'; PRAGMA user_version=9;--"),
    *("'; ATTACH DATABASE '/tmp/x' AS x;--", "'); CREATE TABLE x(y);--", "'; COPY token TO '/tmp/x';--"),
    *("' AND (SELECT COUNT(*) FROM token)>0--", "' AND RANDOMBLOB(100000000)--", "' AND 1=(SELECT 1 FROM token)--"),
    *("'||(SELECT name FROM token)||'", "'||pg_sleep(5)--", "1;SELECT pg_sleep(5)--", "' AND pg_sleep(5)='"),
    *("' AND CAST((SELECT name FROM token) AS INT)--", "' AND 1=CONVERT(int,@@version)--", "' AND EXTRACTVALUE(1,1)--"),
    *("' WAITFOR DELAY '0:0:5'--", "'; EXEC xp_cmdshell('id')--", "' ORDER BY 99--", "' GROUP BY 1 HAVING 1=1--"),
    *("' LIKE '%", "%' OR name LIKE '%", "_%", "A1%", "[a-z]%", "' GLOB '*", "' REGEXP '.*", "A1' COLLATE NOCASE--"),
    *("%27 OR 1=1", "%2527", "&#39; OR 1=1", "\u02bc OR 1=1", "\uff07 OR 1=1", "\xbf' OR 1=1", "0x27", "CHAR(39)"),
    *(":name", "?", "?1", "$1", "@p1", "%s", "%(name)s", "{name}", "NULL", "1e309", "-1", "0", "--", "/*!1*/", ";"),
)  # fmt: skip
REPORT = {"text": "Strömmen är borta.", "area": ["norra-ekbyn"]}
IMPORT = b"address,area,language\n0701740605,norra-ekbyn,sv\n0701740606,sodra-ekbyn,sv\n"
# Where a string may stand: {} is its place in path and query, … in a body.
PATHS = (
    ("GET", "/incidents?cursor={}"),
    ("GET", "/incidents?limit={}"),
    ("GET", "/incidents?open={}"),
    ("GET", "/incidents/{}"),
    ("GET", "/incidents/{}/deliveries"),
    ("GET", "/audit?after={}"),
    ("GET", "/audit?limit={}"),
    ("GET", "/subscribers?area={}"),
    ("GET", "/subscribers/count?area={}"),
    ("POST", "/channels/{}/probe"),
    ("POST", "/channels/{}/pause"),
    ("POST", "/channels/{}/resume"),
    ("POST", "/channels/{}/drop"),
    ("POST", "/deliveries/{}/resend"),
    ("DELETE", "/scheduled/{}"),
    ("DELETE", "/tokens/{}"),
    # Behind what makes it look like a name of ours.
    ("GET", "/incidents/A1{}"),
    ("GET", "/incidents?cursor=A1{}"),
    ("DELETE", "/scheduled/A1-1{}"),
    ("DELETE", "/tokens/bc_{}"),
    ("DELETE", "/tokens/bc_abcd{}"),
)
WORDS = ("text", "cause", "instruction", "headline")
FIELDS = (
    *WORDS,
    "severity",
    "audience",
    "since",
    "etr",
    "next",
    "at",
    "until",
    "planned",
    "affected",
)
BODIES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    *(("POST", "/preview", REPORT | {field: "…"}) for field in FIELDS),
    *(("POST", "/preview", REPORT | {field: ["…"]}) for field in ("area", "channel")),
    ("POST", "/preview", REPORT | {"texts": {"sv": "…"}}),
    ("POST", "/preview", REPORT | {"texts": {"…": "x"}}),
    ("POST", "/preview", REPORT | {"…": "x"}),
    ("POST", "/preview", REPORT | {"incident": "…"}),
    ("POST", "/incidents/A1/updates", {"kind": "…", "text": "x"}),
    ("POST", "/incidents/…/updates", {"text": "x"}),
    ("POST", "/incidents/A1/updates", {"text": "x", "without_area": ["…"]}),
    ("POST", "/scheduled", REPORT | {"at": "…"}),
    ("PATCH", "/scheduled/…", {"at": "2026-11-22T15:00:00Z"}),
    ("POST", "/channels/…/reroute", {"to": "…"}),
    ("POST", "/channels/hook/reroute", {"to": "…"}),
    ("POST", "/tokens", {"name": "Kim", "role": "…"}),
    ("POST", "/tokens", {"name": "Kim", "role": "viewer", "area": ["…"]}),
    ("POST", "/tokens", {"name": "Kim", "role": "viewer", "expires": "…"}),
    *(("POST", f"/subscribers/{act}", {"channel": "…", "address": "0701740605"}) for act in ("remove", "erase")),
    *(("POST", f"/subscribers/{act}", {"channel": "sms", "address": "…"}) for act in ("remove", "erase")),
    ("POST", "/subscribers/remove", {"channel": "sms", "address": "0701740605", "area": "…"}),
)  # fmt: skip
MEANT = {  # strings of the corpus that are something here, by where they stand
    "/incidents?limit={}": {"0"},
    "/audit?after={}": {"0"},
    "/incidents/A1{}": {"-1"},  # its first update
    "/incidents?open={}": {"0"},
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemonless]:
    """Two incidents, two subscribers, a token: rows that a condition which is always true would show."""
    with Daemonless(tmp_path_factory.mktemp("sql")) as desk:
        for text in ("Ett.", "Två."):
            assert desk.ask("POST", "/api/v1/incidents", REPORT | {"text": text}).status == 201
        path = "/api/v1/subscribers/import?channel=sms&source=list&legal_basis=law"
        assert desk.ask("POST", path, IMPORT).status == 200
        yield desk


def put(value: Any, word: str) -> Any:
    """A body with the word in its place."""
    if isinstance(value, str):
        return value.replace("…", word)
    if isinstance(value, list):
        return [put(one, word) for one in value]
    if isinstance(value, dict):
        return {put(key, word): put(one, word) for key, one in value.items()}
    return value


def standing(desk: Daemonless) -> tuple[Any, ...]:
    """The schema, how many rows each table has, and what each token may."""
    url = desk.desk.configuration.settings.store.url.get_secret_value()
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:

        def rows(asked: str) -> list[Any]:
            return connection.execute(asked).fetchall()

        schema = rows("SELECT type, name, sql FROM sqlite_master ORDER BY name")
        tables = [name for kind, name, _ in schema if kind == "table"]
        counts = {name: rows(f'SELECT COUNT(*) FROM "{name}"') for name in tables}  # noqa: S608 - the schema's own names
        return schema, counts, rows("SELECT id, name, role, revoked_at FROM token")


def assert_refused(answer: Reply, where: str, word: str) -> None:
    assert answer.status in {400, 404, 405, 409, 422}, (
        f"{where} {word!r}: {answer.status} {answer.content[:300]!r}"
    )
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_corpus_has_every_kind() -> None:
    assert len(set(CORPUS)) >= 80


@pytest.mark.parametrize(("method", "path"), PATHS, ids=[f"{m} {p}" for m, p in PATHS])
def test_in_a_path_or_query_it_finds_nothing_and_changes_nothing(
    filled: Daemonless, method: str, path: str
) -> None:
    before = standing(filled)
    for word in CORPUS:
        if word not in MEANT.get(path, set()):
            answer = filled.ask(method, "/api/v1" + path.format(quote(word, safe="")))
            if answer.status == 200:  # a list may be empty; it shows no row that was not asked for
                assert answer.json.get("items") == [], f"{word!r} {answer.content[:200]!r}"
            else:
                assert_refused(answer, path, word)
    assert standing(filled) == before


@pytest.mark.parametrize(("method", "path", "body"), BODIES, ids=range(len(BODIES)))
def test_in_a_body_it_is_a_word_or_refused_and_changes_nothing(
    filled: Daemonless, method: str, path: str, body: dict[str, Any]
) -> None:
    before = standing(filled)
    for word in CORPUS:
        answer = filled.ask(method, f"/api/v1{put(path, quote(word, safe=''))}", put(body, word))
        if answer.status == 200 and path == "/preview":
            assert answer.json["areas"] == ["norra-ekbyn"]
        else:
            assert_refused(answer, f"{path} {body}", word)
    assert standing(filled) == before


def test_what_is_said_is_kept_word_for_word(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Daemonless(tmp_path_factory.mktemp("kept")) as desk:
        for number, word in enumerate(CORPUS, start=1):
            said = {
                "text": f"Borta: {word}",
                "cause": word,
                "instruction": word,
                "headline": f"x {word}",
            }
            answer = desk.ask(
                "POST", "/api/v1/incidents", REPORT | said, idempotency_key=f"k{number}"
            )
            assert answer.status == 201, (word, answer.content)
            shown = desk.ask("GET", f"/api/v1/incidents/{answer.json['incident']}").json
            assert shown["updates"][0]["text"]["sv"] == said["text"]
            assert (shown["cause"], shown["headline"]) == (word, said["headline"])
        assert desk.ask("POST", "/api/v1/audit/verify").json["problems"] == []


@pytest.mark.parametrize("word", CORPUS)
def test_in_a_header_it_opens_nothing(filled: Daemonless, word: str) -> None:
    sent = word.encode().decode("latin-1")
    assert (
        filled.ask("GET", "/api/v1/tokens", token="", Authorization=f"Bearer {sent}").status == 401
    )
    assert filled.ask("GET", "/api/v1/organisation", accept_language=sent).status == 200
    assert filled.ask(
        "POST", "/api/v1/incidents/A1/updates", {"text": "x"}, if_match=f'"{sent}"'
    ).status in {412, 422}
