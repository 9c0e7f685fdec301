"""No word of ours becomes a header, a recipient or a second letter: judged by what a real Postfix put into its mailboxes.

Header injection by encoded words is CVE-2024-6923, smuggling by odd ends of lines CVE-2023-51764 and its kin.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any

import pytest
from pydantic import ValidationError

from broadcaster.channel import Letter, Permanent
from broadcaster.locale import phrases
from broadcaster.testing.contract_letters import a_notice, an_attempt, run
from broadcaster.testing.notices import context
from broadcaster.testing.postfix import PostfixServer
from broadcaster.testing.tls import Authority
from channels.email import EmailAdapter

pytestmark = pytest.mark.real("postfix")
SECRET = "ett-hemligt-losenord-17"
LEAVE = "https://ekbyn.example/bort?k={key}&t={token}"
_TAKEN = ": message-id="
SECOND = "MAIL FROM:<kris@ekbyn.example>{0}RCPT TO:<alla@ekbyn.example>{0}DATA{0}Subject: Falsk{0}{0}Falskt.{0}.{0}"
ENDS = {
    "line feeds": "\n.\n",
    "carriage returns": "\r.\r",
    "both": "\r\n.\r\n",
    "mixed, before": "\n.\r\n",
    "mixed, after": "\r\n.\n",
    "return, then both": "\r.\r\n",
    "both, then return": "\r\n.\r",
    "doubled returns": "\r\r\n.\r\r\n",
    "a dot alone": "\n.",
    "two dots": "\n..\n",
    "zero": "\r\n\0.\r\n",
    "next line": "\x85.\x85",
    "line separator": "\u2028.\u2028",
}
SMUGGLED = {name: f"Hej.{end}{SECOND.format(end[-1])}" for name, end in ENDS.items()}
HEADERS = ("Return-Path", "X-Original-To", "Delivered-To", "Received")
"""What a mail server adds; everything else is ours."""
OURS = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Auto-Submitted",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
]


@pytest.fixture(scope="module")
def postfix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostfixServer]:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    with PostfixServer(authority.certificate()) as server:
        yield server


Make = Callable[..., EmailAdapter]


@pytest.fixture
def make(postfix: PostfixServer) -> Iterator[Make]:
    made: list[EmailAdapter] = []

    def build(name: str = "Ekbyns Energi", **changes: Any) -> EmailAdapter:
        server = {
            "host": "127.0.0.1",
            "port": postfix.ports["plain"],
            "tls": "none",
            "connections": 1,
        }
        block = {"kind": "email", "sender": "kris@ekbyn.example", "suppliers": [server]}
        block |= {"secret": SECRET, "unsubscribe": LEAVE}
        surroundings = replace(
            context(),
            organisation=replace(context().organisation, name=name),
            phrases={"sv": dict(phrases("sv")), "en": {}},
        )
        settings = EmailAdapter.Settings.model_validate(block | changes)
        made.append(EmailAdapter(settings, surroundings))
        return made[-1]

    yield build
    for adapter in made:
        adapter.close()


def letter(body: str, subject: str, to: str = "elsa@ekbyn.example") -> Letter:
    return Letter(key="1.1.0", address=to, body=body, subject=subject, language="sv")


def arrived(
    postfix: PostfixServer, adapter: EmailAdapter, given: Sequence[Letter]
) -> list[EmailMessage]:
    """Send, and after them one that is all right by the same connection; everything that then lies in mailboxes besides."""
    said = "delivered to maildir"
    before, known = sum(said in line for line in postfix.log), len(postfix.letters())
    taken = sum(_TAKEN in line for line in postfix.log)
    last = letter("Sist.", "Sist", "vakt@ekbyn.example")
    ran = run(adapter, [*given, last], an_attempt(deadline=30.0))
    assert ran.ended is None
    assert ran.failures() == []
    postfix.wait_for(said, before + len(given) + 1)
    # Whatever was smuggled was taken before the last, and nothing of it waits in a queue when no more were taken.
    assert sum(_TAKEN in line for line in postfix.log) - taken == len(given) + 1
    read: list[EmailMessage] = [
        message_from_bytes(one, policy=policy.default) for one in postfix.letters()[known:]
    ]
    assert len(read) == len(given) + 1
    return [one for one in read if one["To"] != last.address]


def plain_part(mail: EmailMessage) -> str:
    found = mail.get_body(("plain",))
    assert found is not None
    content: str = found.get_content()
    return content


def written(mail: EmailMessage) -> list[str]:
    return [name for name in mail if name not in HEADERS]


def in_order(mail: EmailMessage, to: str) -> None:
    """It has our headers once each, none besides, and went to one mailbox."""
    assert written(mail) == OURS
    assert mail.get_all("Delivered-To") == [to]
    assert mail.get_all("X-Original-To") == [to]
    assert not mail.defects


def lines(text: str) -> list[str]:
    """The lines of a text however they end."""
    return re.split(r"\r\n|\r|\n", text.rstrip("\r\n"))


# -------------------------------------------------------------------------------------------------------------- the text
def test_no_end_of_a_line_in_a_text_ends_the_letter(postfix: PostfixServer, make: Make) -> None:
    given = [letter(text, "Ström") for text in SMUGGLED.values()]
    found = arrived(postfix, make(), given)
    for mail in found:
        in_order(mail, "elsa@ekbyn.example")
        assert b"\r" not in mail.as_bytes().replace(b"\r\n", b"\n")
    came = sorted(lines(plain_part(mail)) for mail in found)
    assert came == sorted(lines(text) for text in SMUGGLED.values())
    assert postfix.letters("alla") == []


def test_what_an_operator_says_neither_ends_a_letter_nor_becomes_a_header(
    postfix: PostfixServer, make: Make
) -> None:
    """By the way of every word: arranged as the preview shows it, title and all, then sent."""
    adapter, given = make(), []
    for hostile in SMUGGLED.values():
        try:
            said = adapter.render(a_notice(text=hostile, headline=hostile, instruction=hostile), {})
        except ValueError:
            continue  # refused before anybody approves it
        [text] = said.texts
        given.append(letter(text.body, text.subject))
    assert given
    for mail in arrived(postfix, adapter, given):
        assert set(written(mail)) == {*OURS, "In-Reply-To", "References"}
        assert mail.get_all("Delivered-To") == ["elsa@ekbyn.example"]
    assert postfix.letters("alla") == []


# ------------------------------------------------------------------------------------------------------------ the headers
REFUSED = {
    "line feed": "Hej\nBcc: alla@ekbyn.example",
    "carriage return": "Hej\rBcc: alla@ekbyn.example",
    "both": "Hej\r\nBcc: alla@ekbyn.example",
    "folded": "Hej\r\n Bcc: alla@ekbyn.example",
    "zero": "Hej\0Bcc: alla@ekbyn.example",
    "Q with a line feed": "Hej =?UTF-8?Q?x=0ABcc:_alla@ekbyn.example?=",
    "Q with both": "=?utf-8?q?x=0D=0ABcc:_alla@ekbyn.example?=",
    "B with a line feed": "=?UTF-8?B?eApCY2M6IGFsbGFAZWtieW4uZXhhbXBsZQ==?=",
    "an odd character set": "=?utf-7?Q?+AAo-Bcc:_alla@ekbyn.example?=",
    "with a language": "=?utf-8*sv?Q?x=0ABcc:_alla@ekbyn.example?=",
    "begun and not ended": "Hej =?utf-8?Q?x=0ABcc:",
    "an ending body": "Hej\r\n\r\nFalskt.\r\n.\r\nQUIT",
}
TAKEN = {
    "vertical tab": "Hej\x0bBcc: alla@ekbyn.example",
    "form feed": "Hej\x0cBcc: alla@ekbyn.example",
    "next line": "Hej\x85Bcc: alla@ekbyn.example",
    "separators": "Hej\u2028Bcc: alla@ekbyn.example\u2029x",
    "almost a word": "Hej = ?utf-8?Q?x=0ABcc:_alla@ekbyn.example?=",
    "specials": 'Hej: <b>, "a"; (c) \\ @ [x]',
    "long": "Ström " * 80,
    "an end of the words": "?= Bcc: alla@ekbyn.example",
}


@pytest.mark.parametrize("subject", REFUSED.values(), ids=REFUSED)
def test_a_title_that_could_become_a_header_is_not_sent(make: Make, subject: str) -> None:
    adapter = make()
    ran = run(adapter, [letter("Text.", subject)], an_attempt())
    [failure] = ran.failures()
    assert isinstance(failure, Permanent)
    assert "alla@" not in failure.sentence


def test_any_other_title_arrives_as_it_is_and_adds_nothing(
    postfix: PostfixServer, make: Make
) -> None:
    found = arrived(postfix, make(), [letter("Text.", subject) for subject in TAKEN.values()])
    for mail in found:
        in_order(mail, "elsa@ekbyn.example")
    came = sorted("".join(str(mail["Subject"]).split()) for mail in found)
    assert came == sorted("".join(subject.split()) for subject in TAKEN.values())
    assert postfix.letters("alla") == []


NAMES = (
    'Ekbyns "Energi" AB, <alla@ekbyn.example>',
    "Energi\r\nBcc: alla@ekbyn.example",
    "=?UTF-8?Q?x=0ABcc:_alla@ekbyn.example?=",
    "alla@ekbyn.example, Energi;",
    "Räddning (väst) \\ @",
)


@pytest.mark.parametrize("name", NAMES)
def test_whatever_the_organisation_is_called_it_is_a_name_and_no_header(
    postfix: PostfixServer, make: Make, name: str
) -> None:
    [mail] = arrived(postfix, make(name), [letter("Text.", "Ström")])
    in_order(mail, "elsa@ekbyn.example")
    assert mail["From"].addresses[0].addr_spec == "kris@ekbyn.example"
    assert len(mail["From"].addresses) == 1
    assert mail.get_all("Bcc") is None


ADDRESSES = (
    "elsa@ekbyn.example>\r\nRCPT TO:<alla@ekbyn.example",
    "elsa@ekbyn.example\nalla@ekbyn.example",
    "elsa@ekbyn.example,alla@ekbyn.example",
    "elsa@ekbyn.example alla@ekbyn.example",
    "<elsa@ekbyn.example>",
    '"elsa alla"@ekbyn.example',
    "@ekbyn.example:alla@ekbyn.example",
    "alla%ekbyn.example@[127.0.0.1]",
    "=?utf-8?q?a=0A?=@ekbyn.example",
    "elsa@ekbyn.example\0",
    "elsa@ekbyn.example> NOTIFY=NEVER",
    "élsa@ekbyn.example",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_is_more_than_one_is_neither_taken_nor_sent_to(
    make: Make, address: str
) -> None:
    adapter = make()
    ran = run(adapter, [letter("Text.", "Ström", address)], an_attempt())
    [failure] = ran.failures()
    assert isinstance(failure, Permanent)
    try:
        assert adapter.address(address).count("@") == 1
        assert address.endswith("\0") is False
    except ValueError:
        return


ODD = ("o'neill+a=b@ekbyn.example", "#$&*/?^_`{|}~-@ekbyn.example", "a.b-c@ekbyn.example")


def test_an_address_of_odd_signs_is_one_recipient(postfix: PostfixServer, make: Make) -> None:
    found = arrived(postfix, make(), [letter("Text.", "Ström", address) for address in ODD])
    assert sorted(parseaddr(mail["To"])[1] for mail in found) == sorted(ODD)
    for mail in found:
        in_order(mail, parseaddr(mail["To"])[1])


LEAVES = (
    "https://ekbyn.example/{key}{token}>\r\nBcc: alla@ekbyn.example",
    "https://ekbyn.example/{key}/{token}>, <mailto:alla@ekbyn.example",
    "https://ekbyn.example/{key} {token}",
    "https://ekbyn.example/å{key}{token}",
    "mailto:bort@ekbyn.example\r\nBcc: alla@ekbyn.example",
    "mailto:bort@ekbyn.example?subject=a\x00",
    "javascript:{key}{token}",
)


@pytest.mark.parametrize("address", LEAVES)
def test_an_address_to_leave_by_that_could_become_a_header_is_refused(
    make: Make, address: str
) -> None:
    with pytest.raises(ValidationError):
        make(unsubscribe=address)
