"""MQTT: what is rendered, and what becomes of a message when a broker refuses, hangs or talks nonsense."""

from __future__ import annotations

import json
import socketserver
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest
from pydantic import ValidationError

from broadcaster.channel import (
    CanAmend,
    CanFind,
    CanWithdraw,
    ChannelContext,
    Failure,
    Kind,
    Mode,
    Permanent,
    Receipt,
    Scope,
    Text,
    Transient,
    Uncertain,
)
from broadcaster.domain.board import BoardArea
from broadcaster.httpclient import verified_context
from broadcaster.httpclient.calling_off import ask_before_sending
from broadcaster.testing.notices import attempt, context, message, notice
from broadcaster.testing.outage import OUTAGE, agrees, as_json, measure, post as say
from broadcaster.testing.ports import free_port
from broadcaster.testing.tls import Authority
from channels.mqtt import MqttAdapter

GOLDEN = Path(__file__).parent / "golden"
PASSWORD = "losen-0009"
PREFIX = "ekbyn/alerts"
_PATIENCE, _SLACK = 0.6, 5.0
CONNACK, PUBACK = b"\x20", b"\x40"


def around(mode: Mode = Mode.LIVE, hosts: tuple[str, ...] | None = None) -> ChannelContext:
    areas = (BoardArea("norra-ekbyn", "Norra Ekbyn"), BoardArea("sodra-ekbyn", "Södra Ekbyn"))
    return replace(context(mode, hosts), areas=areas)


def mqtt(url: str, surroundings: ChannelContext | None = None, **written: Any) -> MqttAdapter:
    settings = {
        "kind": "mqtt",
        "url": url,
        "prefix": PREFIX,
        "username": "ekbyn",
        "password": PASSWORD,
        **written,
    }
    return MqttAdapter(MqttAdapter.Settings.model_validate(settings), surroundings or around())


class Broker:
    """A far end that says what it is told to: first to CONNECT, then to PUBLISH; None ends the connection.

    `drip`: seconds before each byte of the last answer.
    """

    def __init__(self, *answers: bytes | None, drip: float = 0.0) -> None:
        self.packets: list[bytes] = []
        broker = self

        class Conversation(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for place, answer in enumerate(answers, start=1):
                    packet = broker.read(self.rfile)
                    if packet is None:
                        return
                    broker.packets.append(packet)
                    if packet[0] >> 4 == 3:
                        broker.arrived.set()
                    if answer is None:
                        return
                    self.say(answer, drip if place == len(answers) else 0.0)
                broker.read(self.rfile)

            def say(self, answer: bytes, pause: float) -> None:
                pieces = [answer] if not pause else [answer[n : n + 1] for n in range(len(answer))]
                for piece in pieces:
                    if broker.ended.wait(pause):
                        return
                    try:
                        self.wfile.write(piece)
                    except OSError:
                        return

        self.ended, self.arrived = threading.Event(), threading.Event()
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Conversation)
        self._server.daemon_threads = True
        self.url = f"mqtt://127.0.0.1:{self._server.server_address[1]}"

    @staticmethod
    def read(stream: Any) -> bytes | None:
        """One packet whole, None at the end."""
        try:
            first = stream.read(1)
            length, shift = 0, 0
            while True:
                digit = stream.read(1)[0]
                length |= (digit & 127) << shift
                shift += 7
                if digit < 128:
                    break
            return bytes(first + stream.read(length))
        except (OSError, IndexError):
            return None

    def wait_until_published(self) -> None:
        assert self.arrived.wait(10)

    @property
    def published(self) -> list[bytes]:
        return [packet for packet in self.packets if packet[0] >> 4 == 3]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()


def shown(packet: bytes) -> str:
    """A PUBLISH packet as a person reads it (MQTT 5.0 §3.3): where to, whether it is kept and how long, what it says."""
    flags, rest = packet[0], packet[1:]
    end = 2 + int.from_bytes(rest[:2], "big")
    about = rest[end + 3 : end + 3 + rest[end + 2]]
    payload = rest[end + 3 + len(about) :]
    kept = "retained" if flags & 1 else "not retained"
    lines = [f"PUBLISH {rest[2:end].decode()}", f"quality of service {flags >> 1 & 3}, {kept}"]
    if not payload:
        return "\n".join([*lines, "", "(nothing: the topic is cleared)"])
    # Payload format 1 is UTF-8; then how long it holds, then the type of the content.
    assert (about[:2], about[2], about[7]) == (b"\x01\x01", 2, 3)
    lines.append(f"{about[10:].decode()}, holds {int.from_bytes(about[3:7], 'big')} s")
    return "\n".join([*lines, "", as_json(json.loads(payload))])


def connack(code: int = 0, properties: bytes = b"") -> bytes:
    rest = bytes([0, code, len(properties)]) + properties
    return CONNACK + bytes([len(rest)]) + rest


def puback(code: int = 0, properties: bytes = b"") -> bytes:
    rest = bytes([0, 1, code, len(properties)]) + properties
    return PUBACK + bytes([len(rest)]) + rest


def farewell(code: int) -> bytes:
    return bytes([0xE0, 2, code, 0])


def reason_string(words: str) -> bytes:
    return b"\x1f" + len(words.encode()).to_bytes(2, "big") + words.encode()


def a_state(**changes: Any) -> Any:
    text = mqtt("mqtt://127.0.0.1:1").render(concerned(), {}).texts[0]
    usual = {"body": text.body, "subject": text.subject, "payload": text.payload}
    return message(**{**usual, **changes})


def came(broker: Broker, **more: Any) -> Receipt | Failure:
    adapter = mqtt(broker.url)
    try:
        return adapter.post(a_state(), attempt(**more))
    except Failure as failure:
        return failure
    finally:
        adapter.close()


def concerned(**changes: Any) -> Any:
    facts = {"areas": ["norra-ekbyn"], "ended": [], "next": "2026-11-22T15:50:00+01:00"}
    facts |= {"accepted_at": "2026-11-22T14:12:03+01:00"}
    return notice(**{"facts": facts, **changes})


# ----------------------------------------------------------------------------------------------------- what is said
def rendered(said: Any, limits: Any = None) -> tuple[Text, ...]:
    return mqtt("mqtt://127.0.0.1:1").render(said, limits or {}).texts


def topics(texts: tuple[Text, ...]) -> list[tuple[str, str]]:
    """Each message's topic below the prefix, and the state it says: "" is what clears."""
    return [
        (
            text.subject.removeprefix(PREFIX + "/"),
            json.loads(text.payload)["state"] if text.payload else "",
        )
        for text in texts
    ]


def test_a_document_is_as_its_page_says() -> None:
    [text] = rendered(concerned())
    assert text.subject == "ekbyn/alerts/live/norra-ekbyn/a7/sv"
    document = json.loads(text.payload)
    assert document == {
        "mode": "live",
        "version": 1,
        "state": "stands",
        "area": "norra-ekbyn",
        "area_name": "Norra Ekbyn",
        "incident": "A7",
        "update": 1,
        "kind": "report",
        "severity": "moderate",
        "language": "sv",
        "organisation": "Ekbyns Energi",
        "message": "Ekbyns Energi: Strömavbrott i Norra Ekbyn sedan 14.05. Orsaken är okänd, montör är på väg. "
        "De flesta har ström senast 19.00. Ring inte 112 om avbrottet. Nästa besked senast 15.50. "
        "https://drift.ekbyn.example/incidents/a7/",
        "label": "Strömavbrott",
        "headline": "Strömavbrott i Norra Ekbyn",
        "since": "sedan 14.05",
        "planned": "",
        "text": "Orsaken är okänd, montör är på väg.",
        "text_language": "sv",
        "cause": "",
        "etr": "De flesta har ström senast 19.00",
        "instruction": "Ring inte 112 om avbrottet.",
        "no_longer": "",
        "still_affected": "",
        "next_word": "Nästa besked senast 15.50",
        "next_word_at": "2026-11-22T15:50:00+01:00",
        "said_at": "2026-11-22T14:12:03+01:00",
        "link": "https://drift.ekbyn.example/incidents/a7/",
    }
    assert next(iter(document)) == "mode"


def test_each_area_concerned_has_a_message_of_its_own() -> None:
    texts = rendered(concerned(facts={"areas": ["norra-ekbyn", "sodra-ekbyn"], "ended": []}))
    assert topics(texts) == [
        ("live/norra-ekbyn/a7/sv", "stands"),
        ("live/sodra-ekbyn/a7/sv", "stands"),
    ]


def test_where_it_is_over_every_language_is_cleared_before_the_last_word() -> None:
    over = concerned(kind=Kind.RESTORED, facts={"areas": ["sodra-ekbyn"], "ended": ["norra-ekbyn"]})
    assert topics(rendered(over)) == [
        ("live/sodra-ekbyn/a7/sv", "stands"),
        ("live/norra-ekbyn/a7/sv", ""),
        ("live/norra-ekbyn/a7/en", ""),
        ("live/norra-ekbyn/a7/sv", "over"),
    ]


def test_what_is_about_no_area_is_a_word_that_stands_nowhere() -> None:
    about_nothing = concerned(kind=Kind.NOTICE, facts={"areas": [], "ended": []})
    assert topics(rendered(about_nothing)) == [("live/_/a7/sv", "word")]


def test_a_drill_has_topics_of_its_own_and_says_so_first_everywhere() -> None:
    facts = {"areas": ["sodra-ekbyn"], "ended": ["norra-ekbyn"]}
    texts = rendered(concerned(mode=Mode.DRILL, mode_label="ÖVNING", facts=facts))
    assert all(text.subject.startswith("ekbyn/alerts/drill/") for text in texts)
    assert all(text.body.startswith("ÖVNING: ") for text in texts)
    assert all(text.payload.startswith('{"mode": "drill", ') for text in texts if text.payload)
    said = [json.loads(text.payload)["message"] for text in texts if text.payload]
    assert all(each.startswith("ÖVNING: ") for each in said)


@pytest.mark.parametrize("name", OUTAGE)
def test_what_goes_out_stands_word_for_word_in_a_file(name: str) -> None:
    with Broker(connack(), puback()) as broker:
        adapter = mqtt(broker.url)
        said = measure(say(adapter, OUTAGE[name].notice))
        agrees(GOLDEN / f"{name}.txt", said, *map(shown, broker.published))


def test_what_never_came_is_left_out_for_a_sign_shows_how_it_is_now() -> None:
    missed = "Tidigare besked som inte nådde hit: 09.20"
    assert not any("09.20" in text.payload for text in rendered(concerned(missed=missed)))


def test_rendering_is_pure_and_says_how_long_it_is_in_bytes() -> None:
    adapter = mqtt("mqtt://127.0.0.1:1")
    first = adapter.render(concerned(), {"maximum_packet_size": 5000})
    assert first == adapter.render(concerned(), {"maximum_packet_size": 5000})
    assert (first.unit, first.limit) == ("bytes", 5000)
    assert first.remarks == ("Goes to ekbyn/alerts/live/norra-ekbyn/a7/sv",)


def test_what_the_broker_would_not_take_is_refused_with_a_sentence() -> None:
    used = mqtt("mqtt://127.0.0.1:1").render(concerned(), {}).used
    assert rendered(concerned(), {"maximum_packet_size": used})
    with pytest.raises(
        ValueError, match=rf"^The broker takes .* {used - 1} .* {used}\. Shorten it\.$"
    ):
        rendered(concerned(), {"maximum_packet_size": used - 1})


def test_it_pretends_no_ability_it_lacks() -> None:
    adapter = mqtt("mqtt://127.0.0.1:1")
    assert not isinstance(adapter, CanFind | CanAmend | CanWithdraw)
    assert adapter.repeatable


# ------------------------------------------------------------------------------------------------ which way it failed
REFUSED = (
    (0x80, Transient, Scope.MESSAGE),
    (0x83, Transient, Scope.MESSAGE),
    (0x87, Permanent, Scope.MESSAGE),
    (0x90, Permanent, Scope.MESSAGE),
    (0x91, Transient, Scope.MESSAGE),
    (0x97, Transient, Scope.MESSAGE),
    (0x99, Permanent, Scope.MESSAGE),
)
NOT_LET_IN = (
    *((code, Transient) for code in (0x80, 0x83, 0x88, 0x89, 0x8A, 0x97, 0x9C, 0x9F)),
    *((code, Permanent) for code in (0x81, 0x82, 0x84, 0x85, 0x86, 0x87, 0x8C, 0x9D)),
)
HUNG_UP = (
    (0x95, Permanent, Scope.MESSAGE),
    (0x9A, Permanent, Scope.CHANNEL),
    (0x9B, Permanent, Scope.CHANNEL),
    (0x87, Permanent, Scope.MESSAGE),
    (0x8B, Uncertain, Scope.MESSAGE),
    (0x8E, Uncertain, Scope.MESSAGE),
    (0x89, Uncertain, Scope.MESSAGE),
)


@pytest.mark.parametrize(("code", "kind", "scope"), REFUSED)
def test_a_refused_message_was_not_published(code: int, kind: type[Failure], scope: Scope) -> None:
    with Broker(connack(), puback(code)) as broker:
        failure = came(broker)
        assert len(broker.published) == 1
    assert isinstance(failure, kind)
    assert failure.scope is scope
    assert failure.sentence.endswith(".")


@pytest.mark.parametrize(("code", "kind"), NOT_LET_IN)
def test_whoever_is_not_let_in_sends_nothing(code: int, kind: type[Failure]) -> None:
    with Broker(connack(code), None) as broker:
        failure = came(broker)
        assert not broker.published
    assert isinstance(failure, kind)
    assert failure.scope is Scope.CHANNEL
    assert failure.sentence.endswith(".")


@pytest.mark.parametrize("code", [0x00, 0x89, 0x8A, 0x8B, 0x8D, 0x8E, 0x98])
def test_a_broker_that_ends_the_connection_before_it_lets_us_in_parks_no_sirens(code: int) -> None:
    with Broker(farewell(code), None) as broker:
        failure = came(broker)
        assert not broker.published
    assert isinstance(failure, Transient)
    assert failure.scope is Scope.CHANNEL


@pytest.mark.parametrize(("code", "kind", "scope"), HUNG_UP)
def test_a_connection_ended_for_the_message_refuses_it_and_else_leaves_it_in_doubt(
    code: int, kind: type[Failure], scope: Scope
) -> None:
    with Broker(connack(), farewell(code)) as broker:
        failure = came(broker)
    assert isinstance(failure, kind)
    assert failure.scope is scope


@pytest.mark.parametrize(
    ("properties", "lacks"),
    [(b"\x25\x00", "retains no messages"), (b"\x24\x00", "quality of service 1")],
)
def test_a_broker_that_cannot_do_it_is_sent_nothing(properties: bytes, lacks: str) -> None:
    with Broker(connack(0, properties), puback()) as broker:
        failure = came(broker)
        probe = mqtt(broker.url).probe(attempt())
        assert not broker.published
    assert isinstance(failure, Permanent)
    assert failure.scope is Scope.CHANNEL
    assert lacks in failure.sentence
    assert not probe.good


def test_a_message_longer_than_the_broker_takes_by_now_is_not_sent() -> None:
    with Broker(connack(0, b"\x27\x00\x00\x01\x00"), puback()) as broker:
        failure = came(broker)
        assert not broker.published
    assert isinstance(failure, Permanent)
    assert failure.scope is Scope.MESSAGE
    assert "256 bytes" in failure.sentence


def test_a_broker_of_an_older_protocol_is_named_as_that() -> None:
    with Broker(b"\x20\x02\x00\x01", None) as broker:
        failure = came(broker)
    assert isinstance(failure, Permanent)
    assert "does not speak MQTT 5" in failure.sentence


def test_nobody_there_is_worth_another_try() -> None:
    adapter = mqtt(f"mqtt://127.0.0.1:{free_port()}")
    with pytest.raises(Transient, match="nothing was sent") as failed:
        adapter.post(a_state(), attempt())
    assert failed.value.scope is Scope.CHANNEL


@pytest.mark.parametrize(
    "gibberish",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x20\xff\xff\xff\xff\xff",
        b"\x20\x03\x00\x42\x07",
        b"",
    ],
)
def test_who_answers_otherwise_than_a_broker_was_sent_nothing(gibberish: bytes) -> None:
    with Broker(gibberish, None) as broker:
        failure = came(broker, deadline=_PATIENCE)
        assert not broker.published
    assert isinstance(failure, Transient)
    assert failure.scope is Scope.CHANNEL


@pytest.mark.parametrize("nonsense", [b"\x40\x02\x00", b"\x40\x03\x00\x01\x42", b"\x00\x00", None])
def test_an_acknowledgement_that_cannot_be_read_leaves_it_in_doubt(nonsense: bytes | None) -> None:
    with Broker(connack(), nonsense) as broker:
        failure = came(broker, deadline=_PATIENCE)
        assert len(broker.published) == 1
    assert isinstance(failure, Uncertain)


@pytest.mark.parametrize(
    ("answers", "kind", "drip"),
    [
        ((b"",), Transient, 0.0),
        ((connack() * 50,), Transient, 0.3),
        ((connack(), b""), Uncertain, 0.0),
        ((connack(), puback()), Uncertain, 0.3),
    ],
    ids=["silent", "drips", "does not acknowledge", "drips its acknowledgement"],
)
def test_a_call_ends_at_its_deadline(
    answers: tuple[bytes, ...], kind: type[Failure], drip: float
) -> None:
    with Broker(*answers, drip=drip) as broker:
        began = time.monotonic()
        failure = came(broker, deadline=_PATIENCE)
        assert time.monotonic() - began <= _PATIENCE + _SLACK
    assert isinstance(failure, kind)
    assert "0.6 s" in failure.sentence


def test_a_broker_that_talks_for_ever_is_not_listened_to() -> None:
    endless = b"\x20\xff\xff\xff\x7f" + bytes(24 * 1024 * 1024)
    with Broker(endless) as broker:
        tracemalloc.start()
        failure = came(broker)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert isinstance(failure, Transient)
    assert peak < 4 * 1024 * 1024


def test_what_is_called_off_while_it_connects_never_leaves() -> None:
    with Broker(connack(), puback()) as broker, ask_before_sending(lambda: True):
        failure = came(broker)
        assert not broker.published
    assert isinstance(failure, Transient)


# ------------------------------------------------------------------------------------------------------------- safety
def test_no_secret_is_said() -> None:
    echo = reason_string(f"you said {PASSWORD}")
    for answers in ((connack(0x86, echo), None), (connack(), puback(0x87, echo))):
        with Broker(*answers) as broker:
            failure = came(broker)
        assert isinstance(failure, Permanent)
        assert "you said [secret]" in failure.reply
        assert PASSWORD not in repr(vars(failure)) + str(failure)
    adapter = mqtt("mqtt://127.0.0.1:1")
    assert adapter.secrets() == (PASSWORD,)
    assert PASSWORD not in repr(adapter.settings) + repr(vars(adapter))


def test_a_drill_reaches_this_machine_and_nothing_else() -> None:
    drill = around(Mode.DRILL, ("listed.example",))
    with Broker(connack(), puback()) as broker:
        assert mqtt(broker.url, drill).post(a_state(), attempt()).handle
    foreign = mqtt("mqtt://192.0.2.1", drill)  # TEST-NET-1: nobody is there
    assert foreign.hosts() == ("192.0.2.1",)
    with pytest.raises(Permanent, match=r"192\.0\.2\.1") as refused:
        foreign.post(a_state(), attempt())
    assert refused.value.scope is Scope.CHANNEL


def test_two_at_once_do_not_end_each_others_connection() -> None:
    """A broker ends the first connection of an identifier when a second comes: so the second waits its turn."""
    with Broker(connack(), b"") as broker, ThreadPoolExecutor(1) as pool:
        adapter = mqtt(broker.url)
        first = pool.submit(adapter.post, a_state(), attempt(deadline=3))
        broker.wait_until_published()
        with pytest.raises(Transient, match="were under way: nothing was sent"):
            adapter.post(a_state(), attempt(deadline=0.2))
        assert isinstance(first.exception(), Uncertain)
        assert len(broker.published) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "https://broker.example"},
        {"url": "mqtts://ekbyn:hemligt@broker.example"},
        {"url": "mqtts://broker.example/topic"},
        {"url": "mqtts://"},
        {"prefix": ""},
        {"prefix": "/ekbyn"},
        {"prefix": "ekbyn/#"},
        {"prefix": "ekbyn/+/alerts"},
        {"prefix": "$SYS"},
        {"prefix": "ekbyn alerts"},
        {"ca": "secrets/broker-ca.pem"},
        {"ca": "-----BEGIN CERTIFICATE-----\nhemligt å\n-----END CERTIFICATE-----"},
        {"ca": "-----BEGIN CERTIFICATE-----\nhemligt\n-----END CERTIFICATE-----"},
        {"keep": "1s"},
        {"qos": 2},
    ],
)
def test_wrong_settings_are_refused_without_their_values(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        mqtt(**{"url": "mqtts://broker.example", **wrong})
    assert "hemligt" not in str(refused.value)


@pytest.mark.parametrize("around", ["# Göteborgs Energi CA\n{}", "\ufeff{}", "{}\x00", "{}{}"])
def test_what_stands_around_an_authoritys_certificate_does_not_matter(
    tmp_path: Path, around: str
) -> None:
    certificate = Authority(tmp_path).file.read_text()
    settings = mqtt(url="mqtts://broker.example", ca=around.replace("{}", certificate)).settings
    assert verified_context(settings.ca).cert_store_stats()["x509_ca"] == 1
