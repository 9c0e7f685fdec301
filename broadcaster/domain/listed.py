"""Causes and advice that have a sentence of ours in every language.

An operator writes the short name ("dug-cable") or the sentence itself, in any language we speak. It is kept as the English
sentence, and every reader gets it in his own language. Whatever else is written is the operator's own words: they stay as
they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache

from broadcaster.domain.localtime import Phrases

Say = Callable[..., str]


def causes(_: Say) -> Mapping[str, str]:
    """Return the causes by their short names, in the language that `_` speaks."""
    return {
        "dug-cable": _("A cable was dug into"),
        "cable-fault": _("A fault in a cable"),
        "fallen-tree": _("A tree has fallen on a power line"),
        "storm": _("The storm has damaged power lines"),
        "lightning": _("Lightning has struck"),
        "substation": _("A fault in a substation"),
        "technical-fault": _("A technical fault"),
        "fire": _("A fire"),
        "overload": _("The grid is overloaded"),
        "planned-work": _("Planned work on the grid"),
        "unknown": _("The cause is not known yet"),
    }


def instructions(_: Say) -> Mapping[str, str]:
    """Return the advice by its short names, in the language that `_` speaks."""
    return {
        "fridge-closed": _("Keep the fridge and freezer closed."),
        "fallen-lines": _("Keep away from fallen power lines."),
        "stove-off": _("Turn off the stove and irons."),
        "no-emergency-call": _("Do not call the emergency number about this."),
        "boil-water": _("Boil the water before you drink it."),
        "generator-outdoors": _("Run generators outdoors only."),
        "neighbours": _("Look in on neighbours who may need help."),
    }


def english(sentence: str) -> str:
    """Return what is said in English: the sentence itself."""
    return sentence


@cache
def sentences() -> frozenset[str]:
    """Return all of them, in English."""
    return frozenset((*causes(english).values(), *instructions(english).values()))


def recognised(written: str, listed: Mapping[str, str], spoken: Iterable[Phrases]) -> str:
    """Return the English sentence of `listed` that was `written`, by its short name or in one of the languages `spoken`.

    What is none of them is returned as it is. Case and a full stop at the end make no difference.
    """
    meant = _alike(written)
    for name, sentence in listed.items():
        if meant in (name, _alike(sentence)):
            return sentence
    for phrases in spoken:
        for sentence in listed.values():
            if sentence in phrases and meant == _alike(phrases[sentence]):
                return sentence
    return written


def _alike(text: str) -> str:
    return text.strip().rstrip(".").casefold()
