"""Any other gateway: the request is written out in the configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from broadcaster.bulkhttp import Answer, Request
from broadcaster.channel import Failure, Letter, Receipt
from broadcaster.httpclient import host_in, parse_json
from channels.sms_http.answers import failure
from channels.sms_http.callbacks import Callbacks
from channels.sms_http.preset import FORM, JSON, Build, Verdict

_PLACE = re.compile(r"\{(to|text|key|sender|password|callback|validity)\}")
_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[([0-9]+)\]")
# Stands around a placeholder while a body is put together: no text of a configuration holds it.
_MARK = "\N{NULL}"


def _marked(template: Any) -> Any:
    """The same with every placeholder in a value between marks; one in a key is none."""
    if isinstance(template, str):
        return _PLACE.sub(lambda found: f"{_MARK}{found[1]}{_MARK}", template)
    if isinstance(template, Mapping):
        return {key: _marked(value) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return [_marked(value) for value in template]
    return template


class _Body:
    """A body whose placeholders are filled letter by letter, in one pass: a text that holds "{to}" stays as it is.

    `written` is the body with marks, already in its format; `escape` puts a value into that format.
    """

    def __init__(self, written: str, mark: str, escape: Callable[[str], str]) -> None:
        self.pieces = written.split(mark)
        self.names = self.pieces[1::2]
        self.escape = escape

    def fill(self, values: Mapping[str, str]) -> str:
        pieces = self.pieces.copy()
        pieces[1::2] = [self.escape(values[name]) for name in self.names]
        return "".join(pieces)


def _json_escaped(value: str) -> str:
    return json.dumps(value)[1:-1]


def _body(supplier: Any) -> _Body:
    # A text goes to many: it is written in the body's format once.
    if supplier.form is None:
        written, mark = json.dumps(_marked(supplier.json_body)), _json_escaped(_MARK)
        return _Body(written, mark, lru_cache(maxsize=128)(_json_escaped))
    written, mark = urlencode(_marked(supplier.form)), quote_plus(_MARK)
    return _Body(written, mark, lru_cache(maxsize=128)(quote_plus))


def build(supplier: Any, callbacks: Callbacks) -> Build:
    """As `Preset.build`."""
    kind = FORM if supplier.form is not None else JSON
    given = (f"{name}: {value.get_secret_value()}" for name, value in supplier.headers.items())
    headers = (*given,) if supplier.method == "GET" else (kind, *given)
    secret = supplier.password.get_secret_value()
    joint = "&" if urlsplit(supplier.url).query else "?"
    body = _body(supplier)
    reported = "callback" in body.names

    def make(letter: Letter, seconds: int) -> Request[Letter]:
        written = body.fill(
            {
                "to": letter.address,
                "text": letter.body,
                "key": letter.key,
                "sender": supplier.sender,
                "password": secret,
                "callback": callbacks.url(letter.key) if reported else "",
                "validity": str(max(1, seconds)),
            }
        )
        if supplier.method == "GET":
            return Request(f"{supplier.url}{joint}{written}", None, headers, letter)
        return Request(supplier.url, written.encode(), headers, letter)

    return make


def read(supplier: Any, answer: Answer) -> Receipt | Failure:
    """As `Preset.read`."""
    if answer.status in supplier.accepted:
        handle = _follow(supplier.id, answer) if supplier.id else ""
        if handle or not supplier.id:
            return Receipt(handle=handle)
    return failure(answer, host_in(supplier.url))


def _follow(path: str, answer: Answer) -> str:
    """What stands at a path such as $.messages[0].id of the answer; "" when nothing does."""
    try:
        value: Any = parse_json(answer.body)
        for name, place in _STEP.findall(path):
            value = value[name] if name else value[int(place)]
    except (ValueError, LookupError, TypeError):
        return ""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def report(supplier: Any, said: Mapping[str, Any]) -> Verdict:
    """As `Preset.report`; a word that is not configured is no news."""
    word = str(said.get(supplier.report.status, ""))
    if word in supplier.report.delivered:
        return "", "confirmed", word
    return "", "failed" if word in supplier.report.failed else "pending", word
