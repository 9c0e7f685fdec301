"""Any other gateway: the request is written out in the configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from broadcaster.bulkhttp import Answer, Request
from broadcaster.channel import Failure, Letter, Receipt
from broadcaster.httpclient import host_in, parse_json
from channels.sms_http.answers import failure
from channels.sms_http.callbacks import Callbacks
from channels.sms_http.preset import FORM, JSON, Build, Verdict

_PLACE = re.compile(r"\{(to|text|key|sender|password|callback|validity)\}")
_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[([0-9]+)\]")


def _filled(template: Any, values: Mapping[str, str]) -> Any:
    """Fill placeholders in every string, in one pass: a text that holds "{to}" stays as it is."""
    if isinstance(template, str):
        return _PLACE.sub(lambda found: values[found[1]], template)
    if isinstance(template, Mapping):
        return {key: _filled(value, values) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return [_filled(value, values) for value in template]
    return template


def build(supplier: Any, callbacks: Callbacks) -> Build:
    """As `Preset.build`."""
    kind = FORM if supplier.form is not None else JSON
    given = (f"{name}: {value.get_secret_value()}" for name, value in supplier.headers.items())
    headers = (*given,) if supplier.method == "GET" else (kind, *given)
    secret = supplier.password.get_secret_value()
    joint = "&" if urlsplit(supplier.url).query else "?"

    def make(letter: Letter, seconds: int) -> Request[Letter]:
        values = {
            "to": letter.address,
            "text": letter.body,
            "key": letter.key,
            "sender": supplier.sender,
            "password": secret,
            "callback": callbacks.url(letter.key),
            "validity": str(max(1, seconds)),
        }
        if supplier.form is None:
            body = json.dumps(_filled(supplier.json_body, values)).encode()
            return Request(supplier.url, body, headers, letter)
        form = urlencode(_filled(supplier.form, values))
        if supplier.method == "GET":
            return Request(f"{supplier.url}{joint}{form}", None, headers, letter)
        return Request(supplier.url, form.encode(), headers, letter)

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
