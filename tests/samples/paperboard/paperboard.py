"""Sheets for the boards in libraries and shops, printed by a service that is called over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, SecretStr

from broadcaster.channel import (
    Attempt,
    ChannelContext,
    ChannelSettings,
    Message,
    Notice,
    PostAdapter,
    Probe,
    Receipt,
    Rendered,
    Text,
    Uncertain,
)
from broadcaster.httpclient import Caller, Deadline, WebAddress, host_in

SHEET = 1200
"""Characters on one sheet, in letters that can be read at two metres."""


class PaperboardSettings(ChannelSettings):
    """Where the printing service is, and who we are there."""

    url: WebAddress = Field(description="The printing service's address.")
    token: SecretStr = Field(description="The token it gave us.")
    copies: int = Field(1, ge=1, le=50, description="How many sheets are printed.")


class PaperboardAdapter(PostAdapter):
    """Prints one sheet for each update. The service knows a sheet it has by its id, so a repeat prints nothing."""

    Settings = PaperboardSettings
    repeatable = True

    def __init__(self, settings: PaperboardSettings, context: ChannelContext) -> None:
        super().__init__(settings, context)
        self._caller = Caller(
            allowed_hosts=context.allowed_hosts,
            secrets=self.secrets(),
            headers={"Authorization": f"Bearer {settings.token.get_secret_value()}"},
        )

    def secrets(self) -> tuple[str, ...]:
        return (self.settings.token.get_secret_value(),)

    def hosts(self) -> tuple[str, ...]:
        return (host_in(self.settings.url),)

    def close(self) -> None:
        self._caller.close()

    def render(self, notice: Notice, limits: Mapping[str, Any]) -> Rendered:
        """One sheet: what it is, what we know, what to do, where it goes on, when the next word comes, and a link."""
        first = f"{notice.mode_label}: {notice.label}" if notice.mode_label else notice.label
        lines = [
            f"{first} · {notice.organisation}",
            notice.headline,
            notice.text,
            notice.since,
            notice.etr,
            notice.instruction,
            notice.still_affected,
            notice.next_word,
            notice.missed,
            notice.link,
        ]
        sheet = "\n".join(line for line in lines if line)
        if len(sheet) > SHEET:
            raise ValueError(f"The sheet needs {len(sheet)} characters and holds {SHEET}.")
        return Rendered(texts=(Text(body=sheet),), unit="characters", used=len(sheet), limit=SHEET)

    def post(self, message: Message, attempt: Attempt) -> Receipt:
        """Have it printed: called once. What fails raises, by the status, out of `call`."""
        answer = self._caller.call(
            "POST",
            f"{self.settings.url}/sheets",
            deadline=Deadline.of(attempt),
            json={"id": message.key, "text": message.body, "copies": self.settings.copies},
        )
        sheet = answer.fields().get("sheet")
        if not isinstance(sheet, str):
            raise Uncertain(
                "The printing service answered without a sheet's number.", reply=answer.excerpt()
            )
        return Receipt(handle=sheet, detail=f"Sheet {sheet}.")

    def probe(self, attempt: Attempt) -> Probe:
        """Whether it knows us and has paper; nothing is printed."""
        answer = self._caller.call(
            "GET", f"{self.settings.url}/paper", deadline=Deadline.of(attempt)
        )
        left = answer.fields().get("left", 0)
        good = isinstance(left, int) and left >= self.settings.copies
        return Probe(
            good=good, sentence=f"{left} sheets left." if good else "Put paper in the printer."
        )
