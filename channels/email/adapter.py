"""E-mail to subscribers, by an ordered list of mail servers: a letter of its own for each address."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from broadcaster.channel import (
    Attempt,
    ChannelContext,
    Failure,
    InboundReply,
    InboundRequest,
    Letter,
    LetterAdapter,
    LetterOutcome,
    Mode,
    Notice,
    Permanent,
    Probe,
    RefusedRequest,
    Remaining,
    Rendered,
    Report,
    Scope,
)
from broadcaster.domain.localtime import say
from broadcaster.httpclient import Deadline, Reach, Redaction, verified_context
from channels.email.addresses import is_address, normalised
from channels.email.answers import Reading
from channels.email.bounces import Bounces
from channels.email.dkim import Signer, signing_key
from channels.email.mail import Content, Stationery, content, display, written
from channels.email.marks import Marks
from channels.email.run import Run
from channels.email.session import Envelope, Server, Session
from channels.email.settings import EmailSettings, Supplier
from channels.email.wording import compose, with_footer

_GOOD_FOR = (
    3600.0  # so long a server that took letters from us is trusted to mean the address it refuses
)
_HEAD = 4096  # bytes that headers and signatures may add to a text


class EmailAdapter(LetterAdapter):
    """One e-mail channel. Every letter is one transaction with one recipient, so that each has an outcome of its own."""

    Settings = EmailSettings
    medium = "email"
    settings: EmailSettings

    def __init__(self, settings: EmailSettings, context: ChannelContext) -> None:
        super().__init__(settings, context)
        secret = settings.secret.get_secret_value()
        self._suppliers = {supplier.known_as: supplier for supplier in settings.suppliers}
        self._good_until: dict[str, float] = {}
        self._marks = Marks(secret, context.name)
        self._bounces = Bounces(settings.bounces, self._marks)
        self._labelled = context.mode is not Mode.LIVE
        self._zone = ZoneInfo(context.organisation.timezone)
        self._stationery = Stationery(
            sender=display(context.organisation.name, settings.sender),
            reply_to=settings.reply_to,
            domain=settings.domain,
            family=f"{context.mode} {context.public_url} {context.name}",
            signers=tuple(
                Signer(
                    each.domain or settings.domain,
                    each.selector,
                    signing_key(each.key.get_secret_value()),
                )
                for each in settings.dkim
            ),
        )

    # -------------------------------------------------------------------------------------------- what is configured
    def suppliers(self) -> tuple[str, ...]:
        """Their names, as configured or their hosts."""
        return tuple(self._suppliers)

    def hosts(self) -> tuple[str, ...]:
        """Every mail server's host."""
        return tuple(supplier.host.lower() for supplier in self.settings.suppliers)

    def secrets(self) -> tuple[str, ...]:
        """Every password and private key, and the secret of the marks."""
        held = [supplier.password for supplier in self.settings.suppliers]
        held += [self.settings.secret, *(each.key for each in self.settings.dkim)]
        return tuple(secret.get_secret_value() for secret in held if secret.get_secret_value())

    # ------------------------------------------------------------------------------------------------------- the text
    def render(self, notice: Notice, limits: Mapping[str, Any]) -> Rendered:
        """Arrange the notice as a subject and a plain text, from which the HTML is made word for word."""
        way_out = self.settings.unsubscribe
        leave_at = "" if "{" in way_out or way_out.startswith("https:") else way_out[7:]
        phrases = self.context.phrases.get(notice.language, {})
        text = compose(notice, phrases, leave_at.partition("?")[0])
        made = content(text.subject, text.body, notice.language, labelled=self._labelled)
        needed, most = len(made.body) + _HEAD, int(limits.get("size", 0))
        if most and needed > most:
            raise ValueError(
                f"The letter needs {needed} bytes and the mail server takes {most}: shorten it."
            )
        return Rendered(texts=(text,), unit="characters", used=len(text.body), limit=0)

    def address(self, raw: str) -> str:
        """The address with its domain in the DNS's letters; see `LetterAdapter.address`."""
        try:
            return normalised(raw)
        except ValueError as error:
            languages = self.context.organisation.languages
            own = self.context.phrases.get(languages[0], {})
            raise ValueError(say(own, str(error))) from None

    # -------------------------------------------------------------------------------------------------------- sending
    def send(
        self, letters: Iterator[Letter], attempt: Attempt
    ) -> Iterator[tuple[Letter, LetterOutcome]]:
        """Send by `attempt.supplier`; see `LetterAdapter.send` and `Run`."""
        supplier = self._suppliers[self.supplier_of(attempt)]
        at = attempt.at.astimezone(self._zone)
        run = Run(
            self._server(supplier),
            supplier.connections,
            supplier.rate,
            lambda letter: self._envelope(letter, at),
            known_good=time.monotonic() < self._good_until.get(supplier.known_as, 0.0),
        )
        seconds = (attempt.not_after - attempt.at).total_seconds()
        try:
            yield from run.send(letters, seconds, min(self.settings.deadline, attempt.deadline))
        finally:
            if run.taken:
                self._good_until[supplier.known_as] = time.monotonic() + _GOOD_FOR

    def _server(self, supplier: Supplier) -> Server:
        return Server(
            supplier=supplier,
            greeting=self.settings.domain,
            reach=Reach(self.context.allowed_hosts),
            reading=Reading(supplier.host, Redaction(self.secrets())),
            context=None if supplier.tls == "none" else verified_context(),
        )

    def _envelope(self, letter: Letter, at: datetime) -> Envelope:
        """The letter made ready; raises Permanent when it is none that may be sent."""
        if not is_address(letter.address):
            sentence = "The address is not an e-mail address: nothing was sent."
            raise Permanent(sentence, scope=Scope.ADDRESS)
        subject = letter.subject or " ".join(letter.body.partition("\n")[0].split())
        identity = self._marks.content_id(letter.key, letter.address, subject, letter.body)
        message_id = f"<{identity}@{self.settings.domain}>"
        try:
            made = self._content(letter, subject)
            whole = self._stationery.letter(
                made, to=letter.address, message_id=message_id, at=at, leave=self._way_out(letter)
            )
        except ValueError as error:
            raise Permanent(str(error)) from None
        back = self.settings.bounces or self.settings.sender
        return Envelope(
            sender=back.replace("{key}", self._marks.mark(letter.key)),
            recipient=letter.address,
            content=whole,
            message_id=message_id,
        )

    def _content(self, letter: Letter, subject: str) -> Content:
        """What all who get the same words share; who has a page of his own finds its address at the end."""
        if not letter.manage:
            return content(subject, letter.body, letter.language, labelled=self._labelled)
        phrases = self.context.phrases.get(letter.language, {})
        _ = partial(say, phrases)
        footer = _("Change what you get, or leave: {link}", link=letter.manage)
        # Made anew for each and kept for none: the address is one person's key.
        body = with_footer(letter.body, footer)
        return written(subject, body, letter.language, labelled=self._labelled)

    def _way_out(self, letter: Letter) -> tuple[str, bool]:
        """The List-Unsubscribe address of one letter, and whether one click does it."""
        if letter.manage and not self.settings.unsubscribe:
            return f"{letter.manage}/leave", letter.manage.startswith("https://")
        template = self.settings.unsubscribe
        key = quote(self._marks.mark(letter.key), safe="")
        address = template.replace("{key}", key).replace("{token}", self._marks.token(letter.key))
        return address, template.startswith("https://")

    # -------------------------------------------------------------------------------------------------------- bounces
    def verify(self, request: InboundRequest) -> InboundReply:
        """See that a mail is handed on by whoever knows this channel's secret."""
        secret = self.settings.secret.get_secret_value()
        given = request.headers.get("authorization", "").encode()
        if not secret or not hmac.compare_digest(f"Bearer {secret}".encode(), given):
            raise RefusedRequest(
                "The returned letter does not come with this channel's secret.", 401
            )
        if request.method != "POST":
            raise RefusedRequest("A returned letter is handed on by POST.", 405)
        return InboundReply()

    def receive(self, request: InboundRequest) -> tuple[Report, ...]:
        """Understand one returned letter; see `Bounces`."""
        return self._bounces.read(request.body)

    # -------------------------------------------------------------------------------------------------------- probing
    def probe(self, attempt: Attempt) -> Probe:
        """Go to every mail server's door and log in; nothing is sent."""
        sizes: dict[str, int] = {}
        certificates: list[Remaining] = []
        sentences = []
        for name, supplier in self._suppliers.items():
            try:
                sizes[name], certificate = asyncio.run(self._look(supplier, attempt.deadline))
                certificates += certificate
            except Failure as problem:
                sentences.append(f"{name}: {problem.sentence}")
        known = [size for size in sizes.values() if size]
        return Probe(
            good=not sentences,
            sentence=" ".join(sentences) or f"{', '.join(sizes)} would take a letter now.",
            limits={"size": min(known)} if known else {},
            remaining=tuple(certificates),
        )

    async def _look(self, supplier: Supplier, seconds: float) -> tuple[int, tuple[Remaining, ...]]:
        """The bytes a letter may have there, and until when its certificate is good."""
        session = Session(self._server(supplier))
        try:
            await session.open(Deadline(min(self.settings.deadline, seconds)))
            return session.longest, session.certificate
        finally:
            await session.close()
