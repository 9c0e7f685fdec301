"""A copy in a bucket of S3-compatible storage (Amazon S3 API Reference: GetObject, PutObject, DeleteObject, ListObjectsV2).

Requests are signed by botocore (Signature Version 4) and made by our own caller: one deadline, a capped body, the walls of
drill and demo, no redirects. A file is put as a whole: who reads meanwhile gets the old one or the new one.
"""

from __future__ import annotations

import contextvars
import html
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NoReturn, TypeVar
from urllib.parse import quote, unquote, urlencode, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from broadcaster.bundle.signed import CAP, NAME
from broadcaster.channel import Permanent, Scope, Transient
from broadcaster.httpclient import Answer, Caller, Deadline, failure_of, host_in
from channels.mirror.far import Found, Place, Print, Taken, Thing, inside
from channels.mirror.journal import JOURNAL
from channels.mirror.settings import S3Place

_T = TypeVar("_T")
_AT_ONCE = 8
_JUDGED_HERE = frozenset({400, 403, 404, 409, 412, 501})
_CODE = re.compile(rb"<Code>\s*([A-Za-z0-9]{1,60})\s*</Code>")
_LISTED = re.compile(rb"<Contents>(?:(?!<Contents>).)*?</Contents>", re.DOTALL)
_PART = re.compile(
    rb"<(Key|Size|ETag|IsTruncated|NextContinuationToken)>([^<]{0,4096})</"
)  # a list of parts is all we read of it: no parser meets what a stranger wrote
_CACHED = "public, max-age=20, stale-while-revalidate=60, stale-if-error=86400"
_CACHED_LONG = "public, max-age=3600"
_NOT_CACHED = "no-cache"

_CLOSED = "{host} has closed the account or the bucket: ask the company, then resume the channel."
_PARKING = {
    "AccessDenied": "{host} does not let our key do this: allow it GetObject, PutObject, DeleteObject and ListBucket, then resume the channel.",
    "InvalidAccessKeyId": "{host} does not know our access key: write the one it gave us, then resume the channel.",
    "SignatureDoesNotMatch": "{host} does not take our signature: correct secret_key, then resume the channel.",
    "NoSuchBucket": "{host} has no such bucket: make it, or correct its address, then resume the channel.",
    "AuthorizationHeaderMalformed": "{host} has the bucket in another region: correct region, then resume the channel.",
    "RequestTimeTooSkewed": "{host} says that this machine's clock is wrong: set it, then resume the channel.",
    "AllAccessDisabled": _CLOSED,
    "AccountProblem": _CLOSED,
    "InvalidBucketState": _CLOSED,
}
"""What a person must mend, by the code of the error (Amazon S3 API Reference, List of error codes)."""


class Bucket:
    """The far side that is a bucket."""

    variants = False

    def __init__(self, settings: S3Place, allowed_hosts: tuple[str, ...] | None) -> None:
        self._root = settings.bucket.rstrip("/")
        self._host = host_in(settings.bucket)
        self.called = self._root.partition("://")[2]
        secret = settings.secret_key.get_secret_value()
        self._lists = _where_lists_are(self._root)
        self._signer = S3SigV4Auth(Credentials(settings.access_key, secret), "s3", settings.region)
        self._caller = Caller(allowed_hosts=allowed_hosts, secrets=(secret,))

    def hosts(self) -> tuple[str, ...]:
        return (self._host,)

    def close(self) -> None:
        self._caller.close()

    @contextmanager
    def connected(self, deadline: Deadline) -> Iterator[Place]:
        yield _Open(self, deadline)

    def call(
        self,
        deadline: Deadline,
        method: str,
        name: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Sign one request for a file and make it, once."""
        return self._call(deadline, method, f"{self._root}/{inside(name)}", body, headers)

    def list(self, deadline: Deadline) -> Iterator[tuple[str, int, str]]:
        """Yield name, size and ETag of every file of the copy's folder, a thousand with each request."""
        token = ""
        while True:
            prefix, answer = self._page(deadline, token)
            body, files = answer.body, _LISTED.findall(answer.body)
            for file in files:
                told = _parts(file)
                if "Key" in told and told.get("Size", "").isdecimal():
                    name = told["Key"].removeprefix(prefix)
                    yield name, int(told["Size"]), told.get("ETag", "").strip('"')
            after = _parts(_LISTED.sub(b"", body))
            if after.get("IsTruncated") != "true":
                return
            before, token = token, after.get("NextContinuationToken", "")
            if token in {"", before}:
                raise Permanent(f"{self._host} does not list the files of the bucket.")

    def _page(self, deadline: Deadline, token: str) -> tuple[str, Answer]:
        """One page of the list, with what stands before our names in it."""
        first: Answer | None = None
        for place, prefix in self._lists:
            asked = {"list-type": "2", "prefix": prefix}
            asked |= {"continuation-token": token} if token else {}
            answer = self._call(
                deadline, "GET", f"{place}?{urlencode(sorted(asked.items()), quote_via=quote)}"
            )
            if answer.ok and b"<ListBucketResult" in answer.body[:1024]:
                self._lists = ((place, prefix),)
                return prefix, answer
            first = first or answer
        assert first is not None, "there is one place at least"  # noqa: S101 - for the type checker
        if not first.ok:
            self.fail(first, deadline)
        raise Permanent(f"{self._host} does not list the files of the bucket.")

    def _call(
        self,
        deadline: Deadline,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        signed = AWSRequest(method, url, data=body or b"", headers=dict(headers or {}))
        self._signer.add_auth(signed)
        return self._caller.call(
            method,
            url,
            deadline=deadline,
            headers={key: str(text) for key, text in signed.headers.items()},
            body=body,
            expect=_JUDGED_HERE,
            cap=CAP,
        )

    def fail(self, answer: Answer, deadline: Deadline) -> NoReturn:
        """Raise what a refusal means."""
        code = code_of(answer)
        if code in _PARKING:
            raise Permanent(
                _PARKING[code].format(host=self._host),
                scope=Scope.CHANNEL,
                reply=answer.excerpt(),
            )
        if "Quota" in code or code in {"InsufficientStorage", "XMinioStorageFull"}:
            raise Transient(
                f"{self._host} has no room left ({code}): make some, or have the quota raised.",
                reply=answer.excerpt(),
            )
        failure = failure_of(answer, self._host, idempotent=True, now=deadline.at)
        assert failure is not None, "only what was refused comes here"  # noqa: S101 - for the type checker
        raise failure


class _Open:
    """The bucket within one deadline."""

    def __init__(self, bucket: Bucket, deadline: Deadline) -> None:
        self._bucket = bucket
        self._deadline = deadline
        self._listed: dict[str, tuple[int, str]] | None = None

    def read(self, name: str) -> Found | None:
        answer = self._bucket.call(self._deadline, "GET", name)
        if answer.status == 404 and code_of(answer) != "NoSuchBucket":
            return None
        if not answer.ok:
            self._bucket.fail(answer, self._deadline)
        return Found(answer.body, answer.headers.get("etag", ""))

    def write(self, things: Sequence[Thing]) -> None:
        self._all(self._put, things)

    def swap(self, thing: Thing, before: Found | None) -> None:
        """Put it under a condition (If-Match, If-None-Match), or without where the storage knows no conditions."""
        if before is None:
            condition = {"If-None-Match": "*"}
        else:
            condition = {"If-Match": before.tag} if before.tag else {}
        answer = self._try(thing, condition)
        if answer.status == 501:
            answer = self._try(thing, {})
        if answer.status in {409, 412} or (answer.status == 404 and before is not None):
            if code_of(answer) == "NoSuchBucket":
                self._bucket.fail(answer, self._deadline)
            raise Taken(thing.name)
        if not answer.ok:
            self._bucket.fail(answer, self._deadline)

    def drop(self, names: Sequence[str]) -> None:
        self._all(self._delete, names)

    def differing(self, wanted: Mapping[str, Print]) -> set[str]:
        """Told by sizes, and by ETags where those are MD5: without encryption of the company's own making they are."""
        listed = self._list()
        manifest = self.read(NAME)
        hashed = manifest is not None and manifest.tag.strip('"') == Print.of(manifest.body).md5
        return {
            name
            for name, known in wanted.items()
            if name not in listed
            or listed[name][0] != known.size
            or (hashed and listed[name][1] != known.md5)
        }

    def names(self, folder: str) -> Collection[str]:
        inside = [
            name.removeprefix(f"{folder}/")
            for name in self._list()
            if name.startswith(f"{folder}/")
        ]
        return [name for name in inside if "/" not in name]

    def _list(self) -> Mapping[str, tuple[int, str]]:
        """Size and ETag of every file, asked for once in a connection."""
        if self._listed is None:
            self._listed = {
                name: (size, tag) for name, size, tag in self._bucket.list(self._deadline)
            }
        return self._listed

    def _put(self, thing: Thing) -> None:
        answer = self._try(thing, {})
        if not answer.ok:
            self._bucket.fail(answer, self._deadline)

    def _try(self, thing: Thing, condition: Mapping[str, str]) -> Answer:
        cached = _NOT_CACHED if thing.name in {NAME, JOURNAL} else _CACHED
        headers = {
            "Content-Type": thing.media_type,
            "Cache-Control": _CACHED_LONG if thing.lasting else cached,
            **condition,
        }
        return self._bucket.call(self._deadline, "PUT", thing.name, thing.body, headers)

    def _delete(self, name: str) -> None:
        answer = self._bucket.call(self._deadline, "DELETE", name)
        if not answer.ok and (answer.status != 404 or code_of(answer) == "NoSuchBucket"):
            self._bucket.fail(answer, self._deadline)

    def _all(self, each: Callable[[_T], None], items: Sequence[_T]) -> None:
        """Do it for all of them, some at once; the first failure ends what has not begun."""
        if len(items) < 2:
            for item in items:
                each(item)
            return
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="mirror") as threads:
            # What calls off a call and bounds it stands in the context.
            calls = [threads.submit(contextvars.copy_context().run, each, item) for item in items]
            try:
                for call in calls:
                    call.result()
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                raise


def code_of(answer: Answer) -> str:
    """The code of an error, "" when it tells none."""
    found = _CODE.search(answer.body[:4096])
    return found[1].decode() if found else ""


def _where_lists_are(root: str) -> tuple[tuple[str, str], ...]:
    """Where the list of a bucket's files may be asked for, each with the prefix of ours in it.

    An address with a path does not say whether that begins with the bucket's name or with a folder in it.
    """
    parts = urlsplit(root)
    origin = f"{parts.scheme}://{parts.netloc}/"
    path = parts.path.strip("/")
    bucket, _, folder = path.partition("/")
    if not path:
        return ((origin, ""),)
    inner, whole = unquote(folder), unquote(path)
    return ((f"{origin}{bucket}", f"{inner}/" if inner else ""), (origin, f"{whole}/"))


def _parts(body: bytes) -> dict[str, str]:
    found = _PART.findall(body)
    return {name.decode(): html.unescape(text.decode("utf-8", "replace")) for name, text in found}
