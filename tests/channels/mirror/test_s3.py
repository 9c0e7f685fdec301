"""A bucket as the copy's place: s3rver, moto, which checks signatures and knows conditions, and a stand-in that refuses."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from broadcaster.channel import Failure, Mode, Permanent, Revision, Scope, Transient
from broadcaster.httpclient import Deadline
from broadcaster.testing.boards import board, context
from broadcaster.testing.servers import FarEnd, Reply, Request, hang, too_many
from broadcaster.testing.storage import BUCKET, S3rver, block, checking_moto, moto
from channels.mirror import MirrorAdapter
from channels.mirror.far import Taken, Thing

from .conftest import ATTEMPT, Boards, page

PAGES = {"index.html": "allt", "incidents/a7/index.html": "A7"}


@pytest.fixture(scope="module")
def storage() -> Iterator[S3rver]:
    with S3rver() as server:
        yield server


def mirror(boards: Boards, url: str, **changes: Any) -> MirrorAdapter:
    """A copy in a folder of the bucket that is this test's own."""
    to = block(url, bucket=f"{url}/{BUCKET}/{boards.folder.name.lower()[:40]}") | changes
    return boards.mirror(to=to, url=to["bucket"])


def read(adapter: MirrorAdapter, name: str) -> tuple[bytes, dict[str, str]]:
    """What a browser is given."""
    url = f"{adapter.settings.url}/{name}"
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own loopback server
        return answer.read(), {key.lower(): text for key, text in answer.headers.items()}


# ------------------------------------------------------------------------------------------------------------ for real
@pytest.mark.real("s3rver")
def test_the_bucket_holds_the_copy_as_a_browser_wants_it(boards: Boards, storage: S3rver) -> None:
    boards.publish("1.1", PAGES)
    adapter = mirror(boards, storage.url)
    assert adapter.standing() is None
    receipt = boards.show(adapter, "1.1")
    body, headers = read(adapter, "incidents/a7/index.html")
    assert body == page("A7")
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["cache-control"].startswith("public, max-age=20")
    body, headers = read(adapter, "mirror.json")
    assert json.loads(body)["revision"] == "1.1"
    assert headers["cache-control"] == "no-cache"
    assert "kopia" in read(adapter, "index.html")[0].decode()
    assert adapter.confirm(receipt, ATTEMPT)
    assert adapter.probe(ATTEMPT).good
    assert adapter.standing() == Revision(1, 1)


@pytest.mark.real("s3rver")
def test_the_next_revision_takes_the_place_of_the_last(boards: Boards, storage: S3rver) -> None:
    boards.publish("1.1", PAGES | {"areas/sjovik/index.html": "Sjövik"})
    adapter = mirror(boards, storage.url)
    boards.show(adapter, "1.1")
    boards.publish("1.2", PAGES | {"incidents/a7/index.html": "A7 igen"})
    assert boards.show(adapter, "1.2").detail == "2 files copied"
    assert read(adapter, "incidents/a7/index.html")[0] == page("A7 igen")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        read(adapter, "areas/sjovik/index.html")
    other = Boards(boards.folder / "other")
    other.publish("1.1", PAGES)
    behind = mirror(boards, storage.url)
    behind._source = behind._copier.known.source = replace(behind._source, directory=other.public)
    with pytest.raises(Transient, match=r"holds revision 1\.2, newer than ours, 1\.1"):
        boards.show(behind, "1.1")
    assert json.loads(read(adapter, "mirror.json")[0])["revision"] == "1.2"


def test_storage_that_checks_signatures_takes_ours_and_no_other(boards: Boards) -> None:
    boards.publish("1.1", PAGES)
    with checking_moto("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket") as to:
        adapter = boards.mirror(to=to)
        boards.show(adapter, "1.1")
        assert adapter.standing() == Revision(1, 1)
        boards.publish("1.2", PAGES | {"incidents/a7/index.html": "A7 igen"})
        assert boards.show(adapter, "1.2").detail == "2 files copied"
        for wrong, said in {
            "secret_key": "does not take our signature: correct secret_key",
            "access_key": "does not know our access key",
        }.items():
            with pytest.raises(Permanent, match=said) as caught:
                boards.mirror(to=to | {wrong: "another"}).standing()
            assert caught.value.scope is Scope.CHANNEL
            wrong_key = boards.mirror(to=to | {wrong: "another"})._far
            with wrong_key.connected(Deadline(20)) as place, pytest.raises(Permanent, match=said):
                place.write([Thing("incidents/a7/index.html", b"forged")])


def test_storage_that_knows_conditions_refuses_the_slower_of_two(boards: Boards) -> None:
    boards.publish("1.1", PAGES)
    with moto() as url:
        slow, quick = mirror(boards, url), mirror(boards, url)
        boards.show(slow, "1.1")
        boards.publish("1.2", PAGES | {"index.html": "nytt"})
        with slow._far.connected(Deadline(20)) as place:
            before = place.read("mirror.json")
            boards.show(quick, "1.2")
            for known in (before, None):
                with pytest.raises(Taken):
                    place.swap(Thing("mirror.json", b"{}"), known)
        assert json.loads(read(quick, "mirror.json")[0])["revision"] == "1.2"


# ------------------------------------------------------------------------------------------------- a stand-in refuses
class Bucket(FarEnd):
    """A bucket in memory (Amazon S3 API Reference); `refusal` answers every PUT, `conditional` those with a condition."""

    name = "s3"

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, bytes] = {}
        self.refusal: Reply | None = None
        self.conditional: Reply | None = None

    def answer(self, request: Request) -> Reply:
        if request.method == "PUT":
            if self.refusal:
                return self.refusal
            if self.conditional and {"if-match", "if-none-match"} & request.headers.keys():
                return self.conditional
            self.held[request.path] = request.body
            return Reply(200)
        if request.method == "DELETE":
            self.held.pop(request.path, None)
            return Reply(204)
        if request.path not in self.held:
            return error(404, "NoSuchKey")
        return Reply(200, self.held[request.path], (("ETag", '"a"'),))


def error(status: int, code: str) -> Reply:
    return Reply(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with Bucket() as far:
        yield far


def outcome(boards: Boards, adapter: MirrorAdapter, **circumstances: Any) -> Failure:
    with pytest.raises(Failure) as caught:
        boards.show(adapter, "1.1", **circumstances)
    return caught.value


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "AccessDenied", "does not let our key do this"),
        (404, "NoSuchBucket", "has no such bucket"),
        (301, "PermanentRedirect", "answers with a redirect"),
        (400, "AuthorizationHeaderMalformed", "in another region"),
        (403, "RequestTimeTooSkewed", "this machine's clock is wrong"),
        (403, "AllAccessDisabled", "has closed the account"),
        (403, "SomethingNew", "refuses our credentials"),
    ],
)
def test_what_a_person_must_mend_parks_the_channel(
    boards: Boards, bucket: Bucket, status: int, code: str, said: str
) -> None:
    boards.publish("1.1", PAGES)
    bucket.refusal = error(status, code)
    failure = outcome(boards, mirror(boards, bucket.url))
    assert isinstance(failure, Permanent)
    assert failure.scope is Scope.CHANNEL
    assert said in failure.sentence


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "QuotaExceeded"), (507, "InsufficientStorage"), (500, "InternalError")],
)
def test_what_passes_is_tried_again(boards: Boards, bucket: Bucket, status: int, code: str) -> None:
    boards.publish("1.1", PAGES)
    bucket.refusal = error(status, code)
    adapter = mirror(boards, bucket.url)
    assert isinstance(outcome(boards, adapter), Transient)
    bucket.refusal = None
    boards.show(adapter, "1.1")
    assert any(name.endswith("/mirror.json") for name in bucket.held)


def test_a_wished_pause_is_kept(boards: Boards, bucket: Bucket) -> None:
    boards.publish("1.1", PAGES)
    bucket.always(too_many(17), method="PUT")
    assert outcome(boards, mirror(boards, bucket.url)).retry_after == 17


def test_storage_that_knows_no_conditions_is_written_without(
    boards: Boards, bucket: Bucket
) -> None:
    boards.publish("1.1", PAGES)
    bucket.conditional = error(501, "NotImplemented")
    boards.show(mirror(boards, bucket.url), "1.1")
    assert any(name.endswith("/mirror.json") for name in bucket.held)


@pytest.mark.parametrize(
    "refusal", [error(412, "PreconditionFailed"), error(409, "ConditionalRequestConflict")]
)
def test_a_condition_that_fails_means_somebody_was_quicker(
    boards: Boards, bucket: Bucket, refusal: Reply
) -> None:
    boards.publish("1.1", PAGES)
    bucket.conditional = refusal
    assert (
        "Another machine has begun to copy" in outcome(boards, mirror(boards, bucket.url)).sentence
    )
    assert not any(name.endswith("/mirror.json") for name in bucket.held)


def test_a_bucket_that_does_not_answer_is_given_up_in_time(boards: Boards, bucket: Bucket) -> None:
    boards.publish("1.1", PAGES)
    bucket.always(hang(), method="PUT")
    started = threading.active_count()
    failure = outcome(boards, mirror(boards, bucket.url), deadline=0.6)
    assert isinstance(failure, Transient)
    assert threading.active_count() <= started + 1, "no thread is left behind"


def test_no_secret_is_in_a_sentence_or_a_reply(boards: Boards, bucket: Bucket) -> None:
    boards.publish("1.1", PAGES)
    secret = "k3y-that-opens-it"
    bucket.refusal = Reply(403, f"<Error><Code>AccessDenied</Code>{secret}</Error>".encode())
    adapter = mirror(boards, bucket.url, secret_key=secret)
    failure = outcome(boards, adapter)
    assert secret not in failure.sentence + failure.reply
    assert secret in adapter.secrets()
    assert secret not in repr(adapter.settings)


def test_a_drill_calls_no_bucket_that_is_not_allowed(boards: Boards) -> None:
    boards.publish("1.1", PAGES)
    live = boards.mirror(to=block("https://203.0.113.7"))
    walled = context(
        Mode.DRILL, public_directory=str(boards.public), name="mirror", allowed_hosts=()
    )
    adapter = MirrorAdapter(live.settings, walled)
    with pytest.raises(Permanent, match="Drill and demo reach only"):
        adapter.show(board(revision=Revision(1, 1)), ATTEMPT)
    assert adapter.hosts() == ("203.0.113.7", "127.0.0.1")
