"""What an update will say on every channel and whom it reaches, before it is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from broadcaster.cli.besides import changes, not_by, wordless
from broadcaster.cli.opening import Talk
from broadcaster.cli.saying import Voice
from broadcaster.cli.situation import head, kind_word, times
from broadcaster.domain.incident import parse_name

Preview = Mapping[str, Any]


def summary(talk: Talk, preview: Preview) -> Iterator[str]:
    """Mode, kind, what, where; what is taken back; the text; channels with people, parts and cost; times; what is dear."""
    yield from _in_short(talk, preview)
    yield from _dear(talk.voice, preview)


def unsayable(voice: Voice, preview: Preview) -> str:
    """Why the daemon would refuse it whatever is answered: the first channel that cannot say it; "" for none."""
    _ = voice.say
    for channel in preview.get("channels") or ():
        if channel.get("error"):
            return _(
                "{channel}: {reason} Nothing was sent. Shorten the text, or leave the channel out with --channel.",
                channel=channel["channel"],
                reason=channel["error"],
            )
    return ""


def _in_short(talk: Talk, preview: Preview) -> Iterator[str]:
    _ = talk.voice.say
    kind = kind_word(talk.voice, str(preview.get("kind") or ""))
    over = preview.get("kind") == "restored" and preview.get("ended")
    place = {**preview, "areas": preview["ended"]} if over else preview
    yield head(talk, place, kind[:1].upper() + kind[1:])
    if over and preview.get("areas"):
        yield _("Still affected: {place}", place=_listed(talk, preview["areas"]))
    yield from _reopened(talk.voice, preview)
    yield from _struck(talk.voice, preview)
    yield from _quoted(talk.voice, preview.get("text") or {})
    yield from changes(talk, preview)
    yield from _moved(talk, preview)
    yield _channels(talk.voice, preview)
    yield from not_by(talk, preview)
    told_already = {"etr_before": None} if "etr" in (preview.get("changes") or {}) else {}
    yield from times(talk, {**preview, **told_already})
    yield from wordless(talk, preview)


def whole(talk: Talk, preview: Preview) -> Iterator[str]:
    """The summary, then each channel's exact texts with their length, parts and cost."""
    yield from _in_short(talk, preview)
    channels = list(preview.get("channels") or ())
    boards = [channel for channel in channels if channel.get("shape") == "board"]
    yield from ("", *(_board(talk.voice, board) for board in boards)) if boards else ()
    for channel in channels:
        if channel in boards:
            continue
        yield ""
        yield _measured(talk.voice, channel)
        for text in channel.get("texts", ()):
            yield from (f"  | {line}" for line in text.splitlines() or [""])
        yield from (f"  {line}" for line in _doubts(talk.voice, channel))


def _struck(voice: Voice, preview: Preview) -> Iterator[str]:
    """Which text is corrected or taken back."""
    _ = voice.say
    strikes = preview.get("strikes")
    if not strikes:
        return
    name = strikes["name"]
    if preview.get("kind") == "correction":
        yield _("Corrects {name}:", name=name)
    else:
        one = parse_name(name)[1] is not None
        yield (
            _("Takes back {name}:", name=name) if one else _("Takes back all of {name}.", name=name)
        )
    words = list(_quoted(voice, strikes["text"]))
    if not words and strikes.get("headline"):
        words = [voice.quoted(str(strikes["headline"]))]
    yield from (f"  - {line}" for line in words)
    yield _("Instead:")


def _reopened(voice: Voice, preview: Preview) -> Iterator[str]:
    """That what was over goes on by it."""
    _ = voice.say
    if preview.get("reopens"):
        incident = str(preview["name"]).partition("-")[0]
        yield _("{name} was over: it is opened again.", name=incident)


def _moved(talk: Talk, preview: Preview) -> Iterator[str]:
    """Who gets the all-clear while it goes on elsewhere, and whom it concerns from now on."""
    _ = talk.voice.say
    if "areas" in (preview.get("changes") or {}):
        return  # both are told as what changes
    areas, before = list(preview.get("areas") or ()), list(preview.get("areas_before") or ())
    ended = list(preview.get("ended") or ())
    if areas and ended:
        yield _("No longer concerned, and told so: {areas}", areas=_listed(talk, ended))
    anew = [area for area in areas if area not in before]
    if before and anew:
        yield _("Now concerned as well: {areas}", areas=_listed(talk, anew))


def _listed(talk: Talk, areas: list[str]) -> str:
    return ", ".join(talk.area_names(areas))


def _quoted(voice: Voice, texts: Mapping[str, str]) -> Iterator[str]:
    """The operator's words; where there are several languages, each after its tag."""
    for language, text in texts.items():
        said = voice.quoted(text)
        yield f"{language}: {said}" if len(texts) > 1 else said


def _board(voice: Voice, channel: Mapping[str, Any]) -> str:
    """A board shows the whole record: of this, what stands above."""
    _ = voice.say
    where = str(channel.get("url") or "")
    return _("{channel}  shows what stands above, at {url}", channel=channel["channel"], url=where)


def _channels(voice: Voice, preview: Preview) -> str:
    """The channels that need no address, then those that do with their people, parts and cost."""
    _ = voice.say
    recipients: Mapping[str, int] = preview.get("recipients") or {}
    carrying = [one for one in preview.get("channels", ()) if not one.get("fallback")]
    open_to_all = dict.fromkeys(str(one["channel"]) for one in carrying)
    said = [", ".join(name for name in open_to_all if name not in recipients)]
    for name, people in recipients.items():
        mine = [one for one in carrying if one["channel"] == name]
        values = {"channel": name, "addresses": _addresses(voice, people)}
        if any(map(_has_parts, mine)):
            parts = _part_count(voice, sum(map(_parts, mine)))
            said.append(_("{channel} to {addresses}: {parts}", parts=parts, **values))
        else:
            said.append(_("{channel} to {addresses}", **values))
    cost = preview.get("cost")
    if cost:
        said.append(_("about {sum}", sum=voice.money(float(cost["amount"]), cost["currency"])))
    return "; ".join(part for part in said if part)


def _dear(voice: Voice, preview: Preview) -> Iterator[str]:
    """Which letters make more parts of a text that goes out, each channel once, whatever its languages."""
    told: dict[str, None] = {}
    for channel in preview.get("channels") or ():
        if channel.get("forcing") and not channel.get("fallback"):
            told |= {f"{channel['channel']}: {doubt}": None for doubt in _doubts(voice, channel)}
    yield from told


def _has_parts(channel: Mapping[str, Any]) -> bool:
    """Whether its texts are counted and paid for in parts: an SMS's, not a mail's."""
    return bool(channel.get("encoding")) or int(channel.get("parts") or 0) > 1


def _parts(channel: Mapping[str, Any]) -> int:
    """The parts of one text for all who get it."""
    return int(channel.get("recipients") or 0) * int(channel.get("parts") or 1)


def _addresses(voice: Voice, count: int) -> str:
    _ = voice.say
    return _("1 address") if count == 1 else _("{count} addresses", count=voice.number(count))


def _part_count(voice: Voice, count: int) -> str:
    _ = voice.say
    return _("1 part") if count == 1 else _("{count} parts", count=voice.number(count))


def _measured(voice: Voice, channel: Mapping[str, Any]) -> str:
    """One line: name, language, length in the channel's own unit, encoding, parts, cost."""
    _ = voice.say
    language = f"({channel['language']})" if channel.get("language") else ""
    fallback = _("only where another fails") if channel.get("fallback") else ""
    name = (str(channel["channel"]), language, _variant(voice, channel), fallback)
    parts = [" ".join(word for word in name if word)]
    if channel.get("limit"):
        used, limit = voice.number(channel["used"]), voice.number(channel["limit"])
        said = _("{used} of {limit} {unit}", used=used, limit=limit, unit=_unit(voice, channel))
        parts.append(said)
    elif channel.get("used"):
        parts.append(f"{voice.number(channel['used'])} {_unit(voice, channel)}")
    if channel.get("encoding"):
        parts.append(str(channel["encoding"]))
    if channel.get("parts") and _has_parts(channel):
        parts.append(_part_count(voice, int(channel["parts"])))
    if channel.get("cost_per_address"):
        each = voice.money(float(channel["cost_per_address"]), str(channel.get("currency") or ""))
        parts.append(_("{sum} an address", sum=each))
    return "  ".join((parts[0], ", ".join(parts[1:]))).rstrip()


def _variant(voice: Voice, channel: Mapping[str, Any]) -> str:
    """Who reads this text, where it is not for everybody."""
    _ = voice.say
    words = {
        "correction": _("for those who got the wrong text"),
        "all_clear": _("for those it no longer concerns"),
        "amended": _("in place of the wrong post"),
    }
    return words.get(str(channel.get("variant") or ""), "")


def _unit(voice: Voice, channel: Mapping[str, Any]) -> str:
    """The unit a channel counts in; one that we have no word for is shown as the channel names it."""
    _ = voice.say
    unit = str(channel.get("unit") or "")
    words = {
        "characters": _("characters"),
        "bytes": _("bytes"),
        "units": _("units"),
        "weighted characters": _("weighted characters"),
    }
    return words.get(unit, unit)


def _doubts(voice: Voice, channel: Mapping[str, Any]) -> Iterator[str]:
    _ = voice.say
    if channel.get("error"):
        yield _("CANNOT BE SENT: {reason}", reason=channel["error"])
    if channel.get("forcing") and not channel.get("remarks"):
        letters = " ".join(voice.quoted(letter) for letter in channel["forcing"])
        yield _(
            "{letters} make it UCS-2, 70 letters to a part. With plain letters: add --plain",
            letters=letters,
        )
    yield from (str(remark) for remark in channel.get("remarks") or ())
