"""What a word does besides what it says: facts that go or come back, an incident that opens again, readers left without words.

Pure. Told before it is said, in the preview, and after, in the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from broadcaster.domain.delivery import Shape
from broadcaster.domain.incident import Audience, Kind, Severity, Update
from broadcaster.domain.plan import routed
from broadcaster.domain.standing import estimate_of, went_out, what_stands
from broadcaster.service.commands import Command
from broadcaster.service.desk import Configuration
from broadcaster.service.drafting import Draft, areas_named
from broadcaster.service.notices import iso
from broadcaster.service.planning import Plan
from broadcaster.service.preceding import CORRECTING
from broadcaster.store.incidents import IncidentRecord


def consequences(
    command: Command,
    record: IncidentRecord | None,
    drafted: Draft,
    plan: Plan,
    configuration: Configuration,
) -> dict[str, Any]:
    """What the command does to `record` besides what its operator wrote, as JSON values for an answer.

    `changes` holds by fact what stood `before` and what stands `after`, `nothing_stands` whether everything is taken
    back by it, `reopens` whether what was over goes on, `closes` whether it takes that back, `no_text_in` the languages
    in which something goes out without the operator's words, `behind` those of the organisation's that had words of an
    earlier update and have none of this one, which has words in another, `left_out` the channels whose adapters break over it,
    `names_also` the areas that its text names and that it is not about, `not_by` the channels that carry it only from a
    higher `severity` on, each with that. What a report repeats is told by `already_open`.
    """
    update = drafted.update
    before = what_stands(record.updates, update.audience) if record else None
    languages = configuration.languages
    return {
        "changes": _changes(command, before, drafted),
        "nothing_stands": drafted.whole,
        "reopens": _reopens(record, before, update),
        "closes": _is_over_again(before, drafted),
        "no_text_in": _without_words(update.texts, plan, languages),
        "behind": _behind(drafted, languages),
        "left_out": plan.left_out,
        "names_also": _names_also(update, configuration),
        "severity": str(update.severity),
        "not_by": _not_by(command, update, plan, configuration),
    }


def already_open(update: Update, others: Sequence[IncidentRecord]) -> dict[str, list[str]]:
    """Which of the `others`, that are open, its readers know to go on in its areas, and in which of them."""
    found = {}
    for record in others:
        stands = what_stands(record.updates, update.audience)
        if stands is None or (stands.planned and stands.planned.start > update.accepted_at):
            continue
        areas = [area for area in update.areas if area in stands.areas]
        if areas:
            found[record.name] = areas
    return found


def _reopens(record: IncidentRecord | None, before: Update | None, update: Update) -> bool:
    """Whether what was over, or wholly taken back, goes on; what staff are told opens nothing that residents see."""
    if record is None or not update.areas or not went_out(record.updates):
        return False
    public = any(word.said.revision for word in record.updates)
    if update.audience is Audience.STAFF and public:
        return False
    return not before.areas if before else record.closed_at is not None


def _is_over_again(before: Update | None, drafted: Draft) -> bool:
    """Whether it takes back that what was over goes on; who says himself that it is over knows it."""
    update = drafted.update
    takes_back = update.kind in CORRECTING and not drafted.whole
    return takes_back and before is not None and bool(before.areas) and not update.areas


def _changes(command: Command, before: Update | None, drafted: Draft) -> dict[str, Any]:
    """What a correction or retraction takes back or brings back; of a whole incident nothing is left to be told of."""
    update = drafted.update
    if update.kind not in CORRECTING or before is None or drafted.whole:
        return {}
    stood, stands = _facts(before), _facts(update)
    return {
        name: {"before": stood[name], "after": stands[name]}
        for name in stands
        if stood[name] != stands[name] and name not in _written(command)
    }


def _facts(said: Update) -> dict[str, Any]:
    planned = said.planned
    return {
        "areas": list(said.areas),
        "planned": f"{iso(planned.start)}/{iso(planned.end)}" if planned else None,
        "etr": iso(estimate_of(said)),
        "since": iso(said.since),
        "severity": str(said.severity),
        "affected": said.affected,
        "headline": said.headline,
        "cause": said.cause,
        "instruction": said.instruction,
    }


def _written(command: Command) -> set[str]:
    """The facts that the command itself tells: whoever wrote them knows them."""
    if command.kind is Kind.RETRACTION:
        return set()
    names = ("planned", "etr", "since", "severity", "affected", "headline", "cause", "instruction")
    written = {name for name in names if getattr(command, name) is not None}
    written |= {"etr"} if command.drop_etr else set()
    return written | ({"areas"} if command.area or command.without_area else set())


def _names_also(update: Update, configuration: Configuration) -> list[str]:
    """The areas that an operator's words name, although nobody there is told: it is said elsewhere only.

    What takes back or ends may name any area: it says where it never was, or still is.
    """
    if update.kind not in (Kind.REPORT, Kind.UPDATE, Kind.CORRECTION):
        return []
    named = areas_named(update.texts, configuration.settings)
    return [key for key in named if key not in (*update.areas, *update.ended)]


def _not_by(
    command: Command, update: Update, plan: Plan, configuration: Configuration
) -> dict[str, str]:
    """The channels to residents that would carry it if it were graver, each with how grave.

    Whoever chose the channels himself knows; what puts right or ends goes wherever it was told.
    """
    told = update.kind in (Kind.REPORT, Kind.UPDATE) and update.areas
    if command.only or update.audience is Audience.STAFF or not told:
        return {}
    carrying = {delivery.channel for delivery in plan.deliveries} | set(plan.left_out)
    found: dict[str, str] = {}
    for severity in Severity:
        if severity.rank <= update.severity.rank:
            continue
        for name in routed(configuration.routes, severity, (*update.areas, *update.ended)):
            adapter = configuration.adapters.get(name)
            if adapter is None or adapter.settings.audience is not Audience.PUBLIC:
                continue
            if name not in carrying:
                found.setdefault(name, str(severity))
    return found


def _without_words(texts: Mapping[str, str], plan: Plan, languages: tuple[str, ...]) -> list[str]:
    """The languages that are spoken to in our sentences alone, beside the operator's words in another."""
    if not texts:
        return []
    spoken = {text.language for text in plan.texts}
    # Who reads easy Swedish is shown the Swedish words, and told that they are ordinary ones.
    texts = {**texts, **{tag: "" for tag in languages if tag.partition("-")[0] in texts}}
    if any(delivery.shape is Shape.BOARD for delivery in plan.deliveries):
        spoken |= set(languages)  # a board shows every language
    return [language for language in languages if language in spoken and language not in texts]


def _behind(drafted: Draft, languages: tuple[str, ...]) -> list[str]:
    """The languages that are one update behind: whoever reads them had an operator's words, and has words of ours now."""
    texts = drafted.update.texts
    lacking = (tag for tag in languages if tag in drafted.spoken and tag not in texts)
    return list(lacking) if texts else []
