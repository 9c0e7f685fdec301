"""Subscribing a browser: the one page of ours that needs a script, for only the browser itself can say where it is reached.

What is served besides: the script, and the worker that shows what comes. The worker keeps nothing and answers no request, so
no page of ours is ever read from an old copy; where browsers cannot subscribe any more it takes itself away.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from fastapi import Response

from broadcaster.inbound.following import fields, forms
from broadcaster.inbound.following.fields import BadForm, Filled
from broadcaster.inbound.following.pages import Pages, policy
from broadcaster.service.desk import Configuration

LONGEST = 2048
"""Of what a browser says of itself."""
_SCRIPTS = Path(__file__).with_name("scripts")
_OWN = "script-src 'self'; worker-src 'self'"


def form(pages: Pages, filled: Filled, seal: str, wrong: str = "") -> Response:
    """The form; without the script it says what can be done instead."""
    found = forms.enrolling(pages.configuration)
    if found is None:
        return pages.trouble(404, "This page is not here", "Notifications are not offered here.")
    with_script = replace(
        pages,
        headers={**pages.headers, "Content-Security-Policy": f"{policy()}; {_OWN}"},
    )
    return with_script.page(
        "push",
        422 if wrong else 200,
        title=pages.say("Notifications in this browser"),
        path="push/",
        key=found[1],
        filled=filled,
        seal=seal,
        wrong=wrong,
        consent=forms.agreed(pages),
        **forms.offered(pages),
    )


def subscription(filled: Filled) -> str:
    """What the browser said of itself.

    Raises:
        BadForm: it is longer than any browser's.
    """
    said = filled.get("subscription")
    if len(said) > LONGEST:
        raise BadForm(fields.NO_FORM)
    return said


@cache
def _source(name: str) -> str:
    return (_SCRIPTS / name).read_text(encoding="utf-8")


def script(configuration: Configuration, name: str) -> Response:
    """The page's script, or the worker: asked for anew each time, and one that takes itself away where there is no channel."""
    source = _source(name)
    if name == "worker.js" and forms.enrolling(configuration) is None:
        source = _source("farewell.js")
    return Response(
        source,
        headers={
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
            "Cache-Control": "no-cache",
        },
        media_type="text/javascript",
    )
