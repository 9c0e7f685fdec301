"""What went wrong, as a problem document (RFC 9457) with a sentence in the operator's language."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from broadcaster.api.identity import Unauthorized
from broadcaster.locale import operators_languages, phrases, translate
from broadcaster.locale.retelling import retell
from broadcaster.service.commands import Refused, Why
from broadcaster.service.desk import Desk
from broadcaster.store import Conflict, StoreBusy, StoreError, StoreFull
from broadcaster.store.errors import StoreUnsure
from broadcaster.store.once import OtherBody
from broadcaster.store.tokens import LastAdmin, NoSuchToken

log = structlog.get_logger()
_STATUS = {
    Why.INVALID: 422,
    Why.FORBIDDEN: 403,
    Why.NOT_FOUND: 404,
    Why.CONFLICT: 409,
    Why.STALE: 412,
}
_STORE_STATUS: tuple[tuple[type[StoreError], int], ...] = (
    (StoreFull, 507),
    (OtherBody, 409),
    (Conflict, 409),
    (LastAdmin, 409),
    (NoSuchToken, 404),
)
_NOT_UNDERSTOOD = "The request was not understood at {at}: {reason}. Nothing was done."
_HTTP = {
    400: "The request is not JSON that can be read: send one object in UTF-8, in braces, its names and texts in "
    "quotes. Nothing was done.",
    404: "There is nothing at this address.",
    405: "This cannot be asked of this address.",
    408: "The request did not come to its end in time. Nothing was done.",
    413: "The request is too large. Nothing was done.",
    415: "Send JSON: Content-Type: application/json. Nothing was done.",
}
_WRONG = {
    "missing": "it is missing",
    "extra_forbidden": "there is no such field",
    "string_unicode": "it holds half a character (a lone surrogate)",
    "string_type": "write text, in quotes",
    "string_too_short": "write something",
    "too_short": "write something",
    "string_too_long": "at most {max_length} characters are taken",
    "too_long": "at most {max_length} are taken",
    "list_type": "write a list, in brackets",
    "dict_type": "write an object, in braces",
    "model_attributes_type": "write an object, in braces",
    "bool_type": "write true or false",
    "bool_parsing": "write true or false",
    "int_type": "write a whole number",
    "int_parsing": "write a whole number",
    "int_parsing_size": "write a smaller whole number",
    "greater_than_equal": "write at least {ge}",
    "less_than_equal": "write at most {le}",
}
_CROWDED = "Too many connections at once. Try again in a moment."
_TOLD = 20
_LIMITS = ("max_length", "ge", "le")
_BROKEN = "Something went wrong in the daemon. Its log says what, under {mark}."


def spoken(request: Request, desk: Desk) -> str:
    """The language to answer in: the one that is asked for, else the organisation's first."""
    return asked_for(request) or desk.configuration.languages[0]


def asked_for(request: Request) -> str:
    """The first of Accept-Language (RFC 9110 §12.5.4) that we speak, or ""."""
    wanted: list[tuple[float, str]] = []
    for part in request.headers.get("accept-language", "")[:200].split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            wanted.append((float(weight or 1), tag))
        except ValueError:
            continue
    for weighed, tag in sorted(wanted, key=lambda one: -one[0]):
        if weighed > 0 and tag.partition("-")[0].lower() in operators_languages():
            return tag
    return ""


def problem(
    status: int, detail: str, at: str = "", headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """A problem document. Half characters in `detail` are escaped, so that it can always be sent."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    document |= ({"at": at[:80]} if at else {}) | more
    return Response(
        json.dumps(document), status, dict(headers or {}), media_type="application/problem+json"
    )


def unauthorized(error: Unauthorized, words: Mapping[str, str]) -> Response:
    """401 with the challenge of RFC 6750."""
    challenge = {"WWW-Authenticate": 'Bearer realm="broadcaster"'}
    return problem(401, translate(words, str(error)), headers=challenge)


def crowded(request: Request, desk: Desk | None) -> Response:
    """503 to one connection too many. Without a desk it is a platform that calls, and English is what it reads."""
    usual = desk.configuration.languages[0] if desk else "en"
    sentence = translate(phrases(asked_for(request) or usual), _CROWDED)
    return problem(503, sentence, headers={"Retry-After": "2", "Connection": "close"})


def store_problem(error: StoreError, language: str) -> Response:
    """What the store could not do. Its sentences end with what became of the request."""
    sentence = retell(language, str(error))
    for kind, status in _STORE_STATUS:
        if isinstance(error, kind):
            return problem(status, sentence)
    wait = {"Retry-After": "2"} if isinstance(error, StoreBusy) else {"Retry-After": "60"}
    unsure = {"stored": "unknown"} if isinstance(error, StoreUnsure) else {}
    return problem(503, sentence, headers=wait, **unsure)


def said(refused: Refused, language: str) -> str:
    """A refusal in a language, also the reason in it when an adapter gave that in English."""
    values = {name: str(value) for name, value in refused.values.items()}
    if "reason" in values:
        values["reason"] = retell(
            language, phrases(language).get(values["reason"], values["reason"])
        )
    return translate(phrases(language), refused.sentence, **values)


def unexpected(error: Exception, words: Mapping[str, str], path: str) -> Response:
    """500: nothing of the cause leaves the daemon, only the mark under which it is in the log."""
    mark = secrets.token_hex(4)
    log.error("request failed", mark=mark, path=path, exc_info=error)
    return problem(500, translate(words, _BROKEN, mark=mark), mark=mark)


def install(app: FastAPI, desk: Desk) -> None:
    """Answer every exception with a problem document."""

    def words(request: Request) -> Mapping[str, str]:
        return phrases(spoken(request, desk))

    @app.exception_handler(Refused)
    def _refused(request: Request, error: Refused) -> Response:
        return problem(_STATUS[error.why], said(error, spoken(request, desk)), error.at)

    @app.exception_handler(StoreError)
    def _store(request: Request, error: StoreError) -> Response:
        return store_problem(error, spoken(request, desk))

    @app.exception_handler(RequestValidationError)
    def _invalid(request: Request, error: RequestValidationError) -> Response:
        language = spoken(request, desk)
        found = error.errors()
        errors = [
            {"at": _place(one["loc"]), "reason": _reason(one, language)} for one in found[:_TOLD]
        ]
        at, reason = errors[0]["at"], errors[0]["reason"]
        detail = translate(phrases(language), _NOT_UNDERSTOOD, at=at or "body", reason=reason)
        if len(found) > _TOLD:
            more = translate(phrases(language), "and {count} more", count=len(found) - _TOLD)
            errors.append({"at": "", "reason": more})
        return problem(422, detail, at, errors=errors)

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> Response:
        sentence = _HTTP.get(error.status_code, HTTPStatus(error.status_code).phrase)
        return problem(
            error.status_code, translate(words(request), sentence), headers=error.headers
        )


def _place(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc if part not in ("body", "query", "path"))[:80]


def _reason(error: Mapping[str, Any], language: str) -> str:
    """Why pydantic refused a field: its own sentences are English for programmers, so most are said in words of ours."""
    known = phrases(language)
    wrong = _WRONG.get(error["type"])
    if wrong is not None:
        limits = {name: error["ctx"][name] for name in _LIMITS if name in error.get("ctx", {})}
        return translate(known, wrong, **limits)
    why = str(error["msg"]).removeprefix("Value error, ")[:300]
    return retell(language, known.get(why, why)).rstrip(".")
