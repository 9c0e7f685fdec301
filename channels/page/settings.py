"""What may be configured of the page; everything has a good default."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, HttpUrl

from broadcaster.channel import ChannelSettings


class Way(BaseModel):
    """One more way to follow what happens, as the page's last section lists it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(description="What the way is called, such as SMS or Mastodon.")
    text: str = Field(description="What to do, such as: send START EKBYN to 71000.")
    url: HttpUrl | None = Field(None, description="Where the way leads, when it has an address.")


class PageSettings(ChannelSettings):
    """The keys of a channel of kind `page`."""

    feeds: bool = Field(
        True, description="Whether the page points at the feeds of a channel of kind feed."
    )
    cap: bool = Field(
        False,
        description="Whether the page points at the warnings for machines of a channel of kind cap.",
    )
    advice: Mapping[str, str] = Field(
        default_factory=dict,
        description="Standing advice beside every open incident, by language, such as when to ring 112.",
    )
    follow: tuple[Way, ...] = Field(
        (), description="More ways to follow, in the organisation's words."
    )

    def advised(self, language: str) -> str:
        """The standing advice in a language, of a variant that of its language; "" for none."""
        return self.advice.get(language) or self.advice.get(language.partition("-")[0], "")
