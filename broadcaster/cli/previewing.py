"""What an update will say on every channel and whom it reaches, before it is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from broadcaster.cli.opening import Talk, now
from broadcaster.cli.saying import Voice

Preview = Mapping[str, Any]


def summary(talk: Talk, preview: Preview) -> Iterator[str]:
    """Mode, what, where; channels with people, parts and cost; the next word, with its date."""
    _ = talk.voice.say
    yield " · ".join(_head(talk, preview))
    yield _channels(talk.voice, preview)
    if preview.get("etr"):
        yield _(
            "Expected to be over: {moment}", moment=talk.voice.moment(preview["etr"], near=now())
        )
    if preview.get("promise"):
        yield _("Next word: {moment}", moment=talk.voice.moment(preview["promise"], near=now()))


def whole(talk: Talk, preview: Preview) -> Iterator[str]:
    """The summary, then each channel's exact texts with their length, parts and cost."""
    yield from summary(talk, preview)
    for channel in preview.get("channels", ()):
        yield ""
        yield _measured(talk.voice, channel)
        for text in channel.get("texts", ()):
            yield from (f"  | {line}" for line in text.splitlines() or [""])
        yield from (f"  {line}" for line in _doubts(talk.voice, channel))


def _head(talk: Talk, preview: Preview) -> list[str]:
    mode = talk.voice.mode(str(preview.get("mode", talk.organisation.get("mode", "live"))))
    names = ", ".join(talk.area_names(list(preview.get("areas") or ())))
    return [part for part in (mode, str(preview.get("headline") or ""), names) if part]


def _channels(voice: Voice, preview: Preview) -> str:
    """The channels that need no address, then those that do with their people, parts and cost."""
    _ = voice.say
    recipients: Mapping[str, int] = preview.get("recipients") or {}
    shapes = {str(c["channel"]): c for c in preview.get("channels", ())}
    open_to_all = [name for name in shapes if name not in recipients]
    said = [", ".join(open_to_all)] if open_to_all else []
    for name, people in recipients.items():
        parts = int(shapes.get(name, {}).get("parts") or 1) * people
        said.append(
            _(
                "{channel} to {people} addresses: {parts} parts",
                channel=name,
                people=voice.number(people),
                parts=voice.number(parts),
            )
        )
    cost = preview.get("cost")
    if cost:
        said.append(_("about {sum}", sum=voice.money(float(cost["amount"]), cost["currency"])))
    return "; ".join(said)


def _measured(voice: Voice, channel: Mapping[str, Any]) -> str:
    """One line: name, language, length in the channel's own unit, encoding, parts, cost."""
    _ = voice.say
    name = f"{channel['channel']} ({channel.get('language', '')})"
    variant = str(channel.get("variant") or "plain")
    parts = [f"{name} {variant}" if variant not in ("plain", "news") else name]
    if channel.get("limit"):
        used, limit = voice.number(channel["used"]), voice.number(channel["limit"])
        said = _("{used} of {limit} {unit}", used=used, limit=limit, unit=_unit(voice, channel))
        parts.append(said)
    elif channel.get("used"):
        parts.append(f"{voice.number(channel['used'])} {_unit(voice, channel)}")
    if channel.get("encoding"):
        parts.append(str(channel["encoding"]))
    if channel.get("parts"):
        count = int(channel["parts"])
        parts.append(_("1 part") if count == 1 else _("{count} parts", count=count))
    if channel.get("cost_per_address"):
        each = voice.money(float(channel["cost_per_address"]), str(channel.get("currency") or ""))
        parts.append(_("{sum} an address", sum=each))
    return "  ".join((parts[0], ", ".join(parts[1:]))).rstrip()


def _unit(voice: Voice, channel: Mapping[str, Any]) -> str:
    """The unit a channel counts in; one that we have no word for is shown as the channel names it."""
    _ = voice.say
    unit = str(channel.get("unit") or "")
    words = {
        "characters": _("characters"),
        "graphemes": _("characters"),
        "bytes": _("bytes"),
        "septets": _("septets"),
        "weighted": _("weighted characters"),
    }
    return words.get(unit, unit)


def _doubts(voice: Voice, channel: Mapping[str, Any]) -> Iterator[str]:
    _ = voice.say
    if channel.get("error"):
        yield _("CANNOT BE SENT: {reason}", reason=channel["error"])
    if channel.get("forcing"):
        letters = " ".join(f"“{letter}”" for letter in channel["forcing"])
        yield _(
            "{letters} make it UCS-2, 70 letters to a part. With plain letters: add --plain",
            letters=letters,
        )
    yield from (str(remark) for remark in channel.get("remarks") or ())
