"""From a request to a complete answer: a look-up and a few comparisons, nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from broadcaster.public.conditions import Header, choose, unchanged
from broadcaster.public.pages import error_page
from broadcaster.public.resource import Headers, Resource, fixed_headers, policy

_OK, _NOT_MODIFIED = int(HTTPStatus.OK), int(HTTPStatus.NOT_MODIFIED)
_MAX_AGE = 20
_FRESH = "public, max-age={}, stale-while-revalidate=60, stale-if-error=86400"
_ARCHIVED = "public, max-age=3600, stale-while-revalidate=60, stale-if-error=86400"

# A path whose value is None was published, but its file is damaged: 503, not 404.
Table = Mapping[str, Resource | None]


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer; `body` None: a status that carries none."""

    status: int
    headers: Headers
    body: bytes | None


def answer(
    table: Table, method: str, path: str, header: Header, now: float, *, https: bool = False
) -> Answer:
    """Answer one request. `path`: percent-decoded. `now`: Unix seconds."""
    if method not in {"GET", "HEAD"}:
        return failure(HTTPStatus.METHOD_NOT_ALLOWED, ("allow", "GET, HEAD"), https=https)
    resource = table.get(path)
    if resource is None:
        return _without(table, path, https)
    return shown(resource, header, now, https=https)


def shown(resource: Resource, header: Header, now: float, *, https: bool = False) -> Answer:
    """Answer with a resource as the reader likes it, or say that the reader has it. `now`: Unix seconds."""
    face = resource.at(now)
    coding = choose(header("accept-encoding"), face.compressed)
    copy = face.compressed[coding] if coding else face.identity
    known, full = _headers(
        fixed_headers(resource.media_type, face.policy, https),
        resource.media_type,
        copy.etag,
        coding,
        face.modified,
        _cache_control(resource, now),
        resource.links,
    )
    if unchanged(header, copy.etag, face.modified):
        return Answer(_NOT_MODIFIED, known, None)
    return Answer(_OK, full, copy.body)


@lru_cache(maxsize=2048)  # put together once for each copy, not for each of its readers
def _headers(
    fixed: Headers,
    media_type: str,
    etag: str,
    coding: str | None,
    modified: int,
    fresh: str,
    links: str,
) -> tuple[Headers, Headers]:
    """Return the headers of a 304 and of a 200."""
    known = (
        *fixed,
        ("etag", etag),
        ("last-modified", formatdate(modified, usegmt=True)),
        ("cache-control", fresh),
        *((("link", links),) if links else ()),
    )
    full = (*known, ("content-type", media_type))
    return known, (*full, ("content-encoding", coding)) if coding else full


def page(body: bytes, *, https: bool = False) -> Answer:
    """Answer with a page made for this one reader, which nobody keeps."""
    headers = (
        *fixed_headers("text/html", policy(body), https),
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
    )
    return Answer(_OK, headers, body)


def failure(status: HTTPStatus, *extra: tuple[str, str], https: bool = False) -> Answer:
    """Return a calm page for an answer that is not a published file."""
    body = error_page(status)
    brief = status in {
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.PERMANENT_REDIRECT,
        HTTPStatus.NOT_FOUND,
    }
    headers = (
        *fixed_headers("text/html", policy(body), https),
        ("content-type", "text/html; charset=utf-8"),
        *extra,
        ("cache-control", "public, max-age=5" if brief else "no-store"),
    )
    return Answer(status, headers, body)


def _cache_control(resource: Resource, now: float) -> str:
    if resource.immutable:
        return _ARCHIVED
    left = resource.after - now if resource.overdue else 0.0
    # A copy kept somewhere must not outlive the promise printed in it.
    return _FRESH.format(max(1, min(_MAX_AGE, int(left))) if left > 0 else _MAX_AGE)


def _without(table: Table, path: str, https: bool) -> Answer:
    """Answer for a path with no body: redirect to the right spelling, 503, 400 or 404."""
    if path in table or not table:
        return failure(HTTPStatus.SERVICE_UNAVAILABLE, ("retry-after", "5"), https=https)
    if not path.startswith("/") or any(ord(letter) < 32 for letter in path):
        return failure(HTTPStatus.BAD_REQUEST, https=https)
    plain = path.lower()
    for spelling in (plain, f"{plain}/", plain.removesuffix("index.html")):
        if spelling in table:
            location = ("location", _relative(path, spelling))
            return failure(HTTPStatus.MOVED_PERMANENTLY, location, https=https)
    return failure(HTTPStatus.NOT_FOUND, https=https)


def _relative(path: str, target: str) -> str:
    """Return a relative address: right behind any proxy prefix, and never another host."""
    up = "../" * (path.count("/") - 1)
    return (up + target[1:]) or "./"
