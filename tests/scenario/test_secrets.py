"""Twenty secrets are planted in a daemon that is then driven into every trouble; afterwards none is found in what it wrote.

The far ends repeat every header, address and body they get, as a far side's error page may.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import requests

from broadcaster.testing.commandline import Ended, run_command
from broadcaster.testing.daemons import Client, wait_until
from broadcaster.testing.ports import free_port
from broadcaster.testing.rig import configuration
from broadcaster.testing.servers import FarEnd, Reply, Request

pytestmark = [pytest.mark.scenario, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
KEY = base64.b64encode(b"thirty-two bytes nobody may see!").decode()
HOOK_KEY = b"a webhook key that signs well"
SECRETS = {
    "store key": KEY,
    "mastodon token": "mast0don+token/=:1",
    "webhook secret": "whsec_" + base64.b64encode(HOOK_KEY).decode(),
    "webhook header": "hook header & value",
    "staff secret": "whsec_" + base64.b64encode(b"another key that signs well too").decode(),
    "x consumer key": "x-consumer-key-1",
    "x consumer secret": "x-consumer-secret-2",
    "x access token": "x-access-token-3",
    "x access secret": "x-access-secret-4",
    "kannel password": "kannel pass%word&1",
    "elks password": "elks:password/2",
    "twilio token": "twilio-token-3",
    "gatewayapi token": "gatewayapi-token-4",
    "gatewayapi secret": "gatewayapi-secret-5",
    "generic password": "generic-password-6",
    "generic header": "generic-header-7",
    "former password": "former-password-8",
    "database password": "database-password-9",
    "misplaced secret": "misplaced-secret-10",
    "first subscriber": "+46701740611",
    "second subscriber": "+46701740622",
    "broken subscriber": "+4670174063",
}
"""Tokens of operators come on top, as they are made."""
NUMBERS = ("first subscriber", "second subscriber")
# The daemon as people start it, but for an adapter that fails in itself and has a secret on its lips.
RAISING = """
from channels.mastodon.adapter import MastodonAdapter
def post(self, *args):
    secret = self.settings.token.get_secret_value()
    raise RuntimeError(f"Authorization: Bearer {secret}")
MastodonAdapter.post = post
from broadcaster.cli import main
main()
"""


class Echo(FarEnd):
    """Refuses everything and says in its answer all that it was told."""

    name = "echo"

    def answer(self, request: Request) -> Reply:
        said = {
            "error": f"{request.method} {request.path}?{request.query} {request.headers}",
            "message": request.headers.get("authorization", ""),
            "title": "Refused",
            "body": request.body.decode("utf-8", "replace"),
        }
        status = (401, 500, 400, 403)[self.arrived % 4]
        return Reply(status, json.dumps(said).encode(), (("Content-Type", "application/json"),))


def forms(secret: str) -> set[bytes]:
    """As it is, in base64 wherever it begins there, quoted for an address, escaped in JSON, in hexadecimal."""
    raw = secret.encode()
    found = {raw, raw.hex().encode(), quote(secret, "").encode(), quote_plus(secret).encode()}
    found |= {raw.hex().upper().encode(), quote(secret).encode()}
    found |= {json.dumps(secret)[1:-1].encode()}
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + raw).rstrip(b"=")
        # Its first and last letters depend on the neighbours.
        found |= {whole[(0, 2, 3)[before] : len(whole) - 1]}
    return found


def planted(secrets: dict[str, str], where: str, written: bytes) -> list[str]:
    """Which secrets stand there."""
    return [
        f"{name} in {where}: …{written[max(0, written.find(form) - 80) :][: 110 + len(form)]!r}"
        for name, secret in secrets.items()
        for form in sorted(forms(secret))
        if form in written
    ][:3]


def channels(far: str) -> dict[str, dict[str, Any]]:
    """Every kind, each with all the secrets it can have."""
    s = SECRETS
    gateway = {"url": far, "sender": "Ekbyn"}
    keys = {
        "consumer_key": "x consumer key",
        "consumer_secret": "x consumer secret",
        "access_token": "x access token",
        "access_token_secret": "x access secret",
    }
    suppliers: list[dict[str, Any]] = [
        {"preset": "kannel", "username": "u", "password": s["kannel password"]},
        {"preset": "46elks", "username": "u", "password": s["elks password"]},
        {"preset": "twilio", "account": "AC1", "token": "file:secrets/twilio"},
        {
            "preset": "gatewayapi",
            "token": s["gatewayapi token"],
            "callback_secret": s["gatewayapi secret"],
        },
        {
            "preset": "generic",
            "password": s["generic password"],
            "headers": {"X-Key": s["generic header"]},
            "json": {"to": "{to}", "text": "{text}", "key": "{password}"},
            "previous": [s["former password"]],
        },
    ]
    suppliers = [{"name": one["preset"]} | gateway | one for one in suppliers]
    hook = {"kind": "webhook", "url": f"{far}/hook"}
    return {
        "page": {"kind": "page"},
        "feed": {"kind": "feed"},
        "social": {"kind": "mastodon", "url": far, "token": "${MASTODON}"},
        "x": {"kind": "x", "url": far} | {key: s[name] for key, name in keys.items()},
        "hook": hook | {"secret": s["webhook secret"], "headers": {"X-Token": s["webhook header"]}},
        "staff": hook | {"secret": s["staff secret"], "audience": "staff"},
        **{f"sms-{one['name']}": {"kind": "sms_http", "suppliers": [one]} for one in suppliers},
    }


class Town:
    """A daemon with everything planted, and all that is heard of it."""

    def __init__(self, folder: Path, far: FarEnd) -> None:
        self.folder, self.secrets = folder, dict(SECRETS)
        self.heard: dict[str, bytes] = {}
        self.config, self.log = folder / "broadcaster.yaml", folder / "daemon.log"
        (folder / "secrets").mkdir()
        for name, secret in (("twilio", SECRETS["twilio token"]), ("store.key", KEY)):
            path = folder / "secrets" / name
            path.write_text(f"{secret}\n")
            path.chmod(stat.S_IRUSR | stat.S_IWUSR)
        self.api = f"127.0.0.1:{free_port()}"
        self.document = configuration(folder, channels(far.url)) | {
            "api": {"listen": self.api},
            "public": {
                "url": "http://127.0.0.1:9",
                "directory": str(folder / "public"),
                "listen": f"127.0.0.1:{free_port()}",
            },
            "store": {
                "url": f"sqlite:///{folder}/var/broadcaster.db",
                "key": "file:secrets/store.key",
            },
            "inbound": {"listen": f"127.0.0.1:{free_port()}", "url": "http://127.0.0.1:9"},
            "log": {"level": "debug"},
        }
        self.write(self.document)
        self.environ = os.environ | {
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "MASTODON": SECRETS["mastodon token"],
        }
        self.numbers = folder / "numbers.csv"
        self.numbers.write_text(
            "address,area,language\n"
            + "".join(f"{SECRETS[name]},norra-ekbyn,sv\n" for name in NUMBERS)
            + f"{SECRETS['broken subscriber']},norra-ekbyn,sv\n"
        )

    def write(self, document: dict[str, Any]) -> None:
        self.config.write_text(json.dumps(document), "utf-8")

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", RAISING, "serve", "--config", str(self.config)],
                stdout=log,
                stderr=log,
                env=self.environ,
                cwd=self.folder,
            )

    def run(self, *arguments: str, made: str = "") -> Ended:
        """A command, whose words are kept; `made` names the secret that it shows this one time."""
        ended = run_command((*arguments, "--config", str(self.config)), self.environ, self.folder)
        said = ended.out + ended.err
        if made:
            assert ended.code == 0, ended
            self.secrets[made] = ended.json["secret"]
            said = said.replace(self.secrets[made], "")
        self.heard[f"broadcaster {' '.join(arguments)}"] = said.encode()
        return ended

    def ask(self, method: str, path: str, token: str, **rest: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"}
        url = f"http://{self.api}{path}"
        answer = requests.request(method, url, headers=headers, timeout=20, **rest)
        kept = f"{answer.headers}\n".encode() + answer.content
        self.heard[f"{method} {path} {answer.status_code}"] = kept
        return answer


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with Echo() as far:
        yield Town(tmp_path, far)


def test_no_secret_stands_in_anything_the_daemon_writes_says_or_shows(town: Town) -> None:
    token = town.run("tokens", "add", "Eva", "--role", "admin", "--offline", "--json", made="Eva")
    assert token.code == 0
    eva = town.secrets["Eva"]
    town.environ["BROADCASTER_TOKEN"] = eva
    daemon = town.start()
    try:
        wait_until(Client(town.api, eva).answers, town.log.read_text)
        _drive(town, daemon.pid, eva)
        _look_at(town, daemon.pid, eva)
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(20)
    _start_with_a_bad_database(town)
    _collect_files(town)
    log = town.log.read_text("utf-8", "replace")
    for event in ("configuration refused", "not accepted", "RuntimeError", "channel parked"):
        assert event in log, event
    found = [
        hit for where, said in town.heard.items() for hit in planted(town.secrets, where, said)
    ]
    assert found == []


def _drive(town: Town, pid: int, eva: str) -> None:
    """Everything goes wrong that can."""
    legal = ("--source", "kundregistret", "--legal-basis", "avtal")
    town.run("subscribers", "import", "numbers.csv", "--channel", "sms-kannel", *legal)
    for one in ("46elks", "twilio", "gatewayapi", "generic"):
        asked = f"/api/v1/subscribers/import?channel=sms-{one}&source=x&legal_basis=y"
        assert town.ask("POST", asked, eva, data=town.numbers.read_bytes()).ok
    town.run("tokens", "add", "Ola", "--role", "author", "--json", made="Ola")
    town.run("tokens", "revoke", "2")
    town.run(
        "report", "Strömmen är borta.", "--area", "norra-ekbyn", "--severity", "severe", "--yes"
    )
    wait_until(lambda: _all_tried(town, eva), town.log.read_text)
    for name in ("social", "x", "hook", "sms-46elks"):
        town.ask("POST", f"/api/v1/channels/{name}/probe", eva)
    # Tokens that open nothing, and requests that are wrong, with secrets in all their parts.
    town.ask("GET", "/api/v1/tokens", town.secrets["Ola"])
    town.ask("GET", "/api/v1/tokens", "bc_" + SECRETS["misplaced secret"])
    town.ask("POST", "/api/v1/incidents", eva, data=b"{not json")
    town.ask("POST", "/api/v1/tokens", eva, json={"name": ["wrong"], "role": "king"})
    # A file with secrets where none may stand.
    bad = json.loads(json.dumps(town.document))
    bad["channels"]["x"]["consumer_key"] = [SECRETS["misplaced secret"]]
    bad["channels"]["social"]["token"] = {"is": SECRETS["misplaced secret"]}
    bad["channels"]["hook"]["secret"] = SECRETS["misplaced secret"]
    bad["store"]["key"] = SECRETS["misplaced secret"]
    town.write(bad)
    town.run("config", "check")
    town.run("config", "check", "--json")
    _reload(town, pid)
    town.write(town.document)
    assert town.run("backup", "create", "before-the-storm").code == 0


def _reload(town: Town, pid: int) -> None:
    os.kill(pid, signal.SIGHUP)
    wait_until(lambda: "configuration refused" in town.log.read_text(), town.log.read_text)


def _all_tried(town: Town, eva: str) -> bool:
    rows = Client(town.api, eva).ask("GET", "/incidents/A1/deliveries").json()["items"]
    states = {row["channel"]: (row["state"], row["attempts"]) for row in rows}
    letters = [state for name, state in states.items() if name.startswith("sms")]
    return len(states) >= 8 and all(attempts for _, attempts in letters)


def _look_at(town: Town, pid: int, eva: str) -> None:
    for path in ("incidents", "incidents/A1", "incidents/A1/deliveries", "channels", "audit"):
        assert town.ask("GET", f"/api/v1/{path}", eva).ok
    for path in ("tokens", "organisation", "scheduled", "doctor", "openapi.json"):
        assert town.ask("GET", f"/api/v1/{path}", eva).ok
    for path in ("healthz", "readyz", "metrics"):
        assert town.ask("GET", f"/{path}", eva).ok
    assert town.ask("POST", "/api/v1/audit/verify", eva).ok
    for command in ("status A1", "status A1 --json", "channels list", "doctor --json"):
        town.run(*command.split())
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for each in (str(pid), *children):
        town.heard[f"ps {each}"] = Path(f"/proc/{each}/cmdline").read_bytes()


def _start_with_a_bad_database(town: Town) -> None:
    user = quote(SECRETS["database password"], "")
    url = f"postgresql+psycopg://eva:{user}@127.0.0.1:9/broadcaster"
    store = town.document["store"] | {"url": url}
    town.write(town.document | {"store": store})
    for command in (("serve",), ("audit", "verify"), ("tokens", "add", "Eva", "--offline")):
        assert town.run(*command).code != 0


def _collect_files(town: Town) -> None:
    """All it left on the disk but the files the secrets were planted in."""
    planted_in = {town.config, town.numbers}
    for path in town.folder.rglob("*"):
        if path.is_file() and path not in planted_in and path.parent.name != "secrets":
            town.heard[str(path.relative_to(town.folder))] = path.read_bytes()
    names = set(town.heard)
    assert {"daemon.log", "var/broadcaster.db", "var/backups/before-the-storm"} <= names
    assert any(name.startswith("public/") for name in names)
