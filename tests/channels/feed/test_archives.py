"""Two thousand updates, many of them odd, corrected or taken back: what readers get of all that by feeds and archives.

The store and the adapter are the real ones, and each feed is read by feedparser and by reader as well.
"""

from __future__ import annotations

import random
import sys
from calendar import timegm
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import feedparser
import feedparser_sgmllib
import pytest
from lxml import etree
from reader import make_reader

from broadcaster.channel import Attempt, Board, Kind, Mode
from broadcaster.domain.board import BoardIncident
from broadcaster.domain.kept import Kept
from broadcaster.store import Store, boards
from broadcaster.store.intents import Accepted
from broadcaster.testing.boards import AREAS, board, context, power_cut
from broadcaster.testing.builders import tell
from broadcaster.testing.clock import NOON
from channels.feed import FeedAdapter
from channels.feed.site import feeds

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
MANY, PAGE = 2_000, boards.FEED_LENGTH
ROOT = "https://drift.ekbyn.example/"
ATOM = "{http://www.w3.org/2005/Atom}"
HISTORY = "{http://purl.org/syndication/history/1.0}"
ODD = [
    "]]>",
    "<!--",
    "\x00",
    "&#0;",
    "<script>",
    "&",
    '"',
    "\r\n",
    "\x1b[2J",
    "\u2028",
    "\ufffe",
    "å",
    "🚧",
]
EARLY, LATE = range(400, 430), range(MANY - 29, MANY + 1)
KEYS = [area.key for area in AREAS]


@dataclass
class Corpus:
    """What was said and published: each page of an archive as it stood when it was first there, files by revision."""

    public: Path
    store: Store
    adapter: FeedAdapter
    kept: Kept[BoardIncident] = field(default_factory=lambda: Kept(boards.ROOM))
    said: list[tuple[Accepted, dict[str, Any]]] = field(default_factory=list)
    struck: set[tuple[int, int]] = field(default_factory=set)
    first: dict[str, list[str]] = field(default_factory=dict)
    costs: list[tuple[int, int]] = field(default_factory=list)

    def say(self, chance: random.Random) -> None:
        now = NOON + timedelta(minutes=len(self.said))
        facts: dict[str, Any] = {
            "texts": {"sv": "".join(chance.choices([*ODD, "Kabelfel ", "vid bron "], k=5))},
            "areas": tuple(chance.sample(KEYS, 2 if chance.random() < 0.3 else 1)),
            "cause": chance.choice(ODD),
        }
        kind = chance.random()
        after = None if len(self.said) < 40 else chance.choice(self.said[-600:])
        if after is None:
            self.said.append((tell(self.store, now=now, **facts), facts))
            return
        history = [each for each in self.said if each[0].incident_id == after[0].incident_id]
        facts["kind"] = Kind.UPDATE
        wrong = [each for each in history if self._name(each[0]) not in self.struck]
        if kind < 0.1 and len(wrong) > 1:
            victim, told = chance.choice(wrong[:-1])
            self.struck.add(self._name(victim))
            strikes = Kind.CORRECTION if kind < 0.05 else Kind.RETRACTION
            facts |= {"kind": strikes, "corrects": victim.number, "areas": told["areas"]}
        newest = max((each for each, _ in history), key=lambda each: each.number)
        self.said.append((tell(self.store, after=newest, now=now, **facts), facts))

    @staticmethod
    def _name(accepted: Accepted) -> tuple[int, int]:
        return accepted.incident_id, accepted.number

    def board(self) -> Board:
        now, since = NOON + timedelta(minutes=len(self.said)), self.adapter.standing()
        return self.store.read(
            lambda connection: boards.board(connection, since, now, Mode.LIVE, self.kept)
        )

    def publish(self) -> None:
        shown = self.board()
        if len(self.said) in EARLY or len(self.said) in LATE:
            made = sum(1 for _ in self.adapter.files(shown))
            self.costs.append((len(self.said), made))
        at = NOON + timedelta(minutes=len(self.said))
        self.adapter.show(shown, Attempt(number=1, at=at, not_after=at, deadline=60))
        for path in self.pages():
            self.first.setdefault(path, ids(self.public / path))

    def pages(self) -> list[str]:
        found = sorted(self.public.rglob("feed/*.atom"))
        return [str(path.relative_to(self.public)) for path in found]


def ids(path: Path) -> list[str]:
    return [node.text or "" for node in etree.parse(path).findall(f"{ATOM}entry/{ATOM}id")]


def link(document: Any, relation: str) -> str | None:
    found = [node.get("href") for node in document.findall(f"{ATOM}link[@rel='{relation}']")]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    folder = tmp_path_factory.mktemp("corpus")
    seed = random.randrange(10**6)  # others in every run
    print(f"seed {seed}")
    chance = random.Random(seed)
    store = Store(f"sqlite:///{folder}/store.db", bytes(32))
    made = context(public_directory=str(folder / "public"), name="feed")
    (folder / "public").mkdir()
    adapter = FeedAdapter(FeedAdapter.Settings(kind="feed"), made)
    corpus = Corpus(folder / "public", store, adapter)
    while len(corpus.said) < MANY:
        corpus.say(chance)
        # One by one near both ends, where costs are compared; as in a storm, some at a time, between.
        at = len(corpus.said)
        if at + 1 in EARLY or at in EARLY or at + 1 in LATE or at in LATE or at % 100 == 0:
            corpus.publish()
    yield corpus
    adapter.close()
    store.close()


def test_whoever_follows_the_archives_back_has_every_word_once_as_it_stands_now(
    corpus: Corpus,
) -> None:
    told: dict[str, tuple[str, str]] = {}
    address: str | None = f"{ROOT}feed.atom"
    seen = []
    while address:
        seen.append(address)
        document = etree.parse(corpus.public / address.removeprefix(ROOT)).getroot()
        assert link(document, "self") == address
        assert (document.find(f"{HISTORY}archive") is not None) == (len(seen) > 1)
        for entry in document.findall(f"{ATOM}entry"):
            name, updated = entry.findtext(f"{ATOM}id"), entry.findtext(f"{ATOM}updated")
            assert name
            assert updated
            told[name] = max(
                told.get(name, ("", "")), (updated, entry.findtext(f"{ATOM}content") or "")
            )
        if len(seen) > 1:
            assert link(document, "current") == f"{ROOT}feed.atom"
        address = link(document, "prev-archive")
    assert len(seen) == MANY // PAGE + 1
    assert set(told) == {
        f"{ROOT}incidents/a{one.incident_id}/#a{one.incident_id}-{one.number}"
        for one, _ in corpus.said
    }
    for incident, number in corpus.struck:
        _, text = told[f"{ROOT}incidents/a{incident}/#a{incident}-{number}"]
        assert "Rättat" in text or "Återtaget" in text


def test_a_full_page_never_changes_its_members(corpus: Corpus) -> None:
    assert len(corpus.first) > 2 * MANY // PAGE  # two languages, and those of the areas
    for path, members in corpus.first.items():
        assert ids(corpus.public / path) == members
        assert len(members) == PAGE


def test_a_word_struck_long_after_is_told_again_in_the_newest(corpus: Corpus) -> None:
    shown = corpus.board()
    again = shown.feed_archives[""].again
    assert again, "none of the newest fifty strikes an older one: another seed would"
    newest = ids(corpus.public / "feed.atom")
    for entry in again:
        slug = entry.incident.slug
        assert f"{ROOT}incidents/{slug}/#{slug}-{entry.update.number}" in newest


def test_an_update_costs_the_same_after_two_thousand(corpus: Corpus) -> None:
    early = [files for said, files in corpus.costs if said in EARLY]
    late = [files for said, files in corpus.costs if said in LATE]
    assert (len(early), len(late)) == (len(EARLY), len(LATE))
    # Four documents of all areas, of four by their keys and of two by their codes, in two languages; and in each place where
    # an incident is, the page that it makes full and the one that it strikes a word of.
    most = 2 * (4 * (1 + 4 + 2) + 2 * (1 + 4))
    assert max(early) <= most
    assert max(late) <= most


def test_every_document_is_bounded(corpus: Corpus) -> None:
    for path in (*corpus.public.rglob("feed.atom"), *corpus.public.rglob("feed/*.atom")):
        assert PAGE <= len(ids(path)) <= 2 * PAGE
        assert path.stat().st_size < 200_000


def test_feedparser_reads_every_document_without_complaint(corpus: Corpus) -> None:
    paths = [*corpus.public.rglob("*.rss"), *corpus.public.rglob("*.atom")]
    assert len(paths) > 100
    for path in paths:
        parsed = feedparser.parse(path.read_bytes())
        assert not parsed.bozo, (path, parsed.get("bozo_exception"))
        assert len({entry.id for entry in parsed.entries}) == len(parsed.entries) >= PAGE
        published = [timegm(entry.published_parsed) for entry in parsed.entries[:PAGE]]
        assert published == sorted(published, reverse=True)
        for entry in parsed.entries:
            assert timegm(entry.updated_parsed) >= timegm(entry.published_parsed)


def test_the_reader_library_reads_every_feed(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The feedparser inside reader asks for this module by its old name, whose package has no wheel.
    monkeypatch.setitem(sys.modules, "sgmllib", feedparser_sgmllib)
    paths = [path for form in ("rss", "atom") for path in corpus.public.rglob(f"feed.{form}")]
    with make_reader(":memory:", feed_root=str(corpus.public)) as reader:
        for path in paths:
            reader.add_feed(str(path.relative_to(corpus.public)))
        reader.update_feeds(scheduled=False)
        for path in paths:
            name = str(path.relative_to(corpus.public))
            assert reader.get_feed(name).last_exception is None
            kept = {entry.id: entry for entry in reader.get_entries(feed=name)}
            assert PAGE <= len(kept) <= 2 * PAGE
            for entry in kept.values():
                assert entry.published is not None
                number = int(entry.id.rpartition("-")[2])
                when = entry.published.astimezone(UTC)
                assert (when - NOON.astimezone(UTC)) < timedelta(minutes=MANY)
                assert number >= 1


def test_an_areas_archive_holds_what_concerns_it(corpus: Corpus) -> None:
    said = sum("sjovik" in facts["areas"] for _, facts in corpus.said)
    pages = sorted(corpus.public.glob("areas/sjovik/feed/*.atom"))
    assert len(pages) == said // PAGE
    assert not list(corpus.public.glob("areas/0128/feed/*"))
    by_code = etree.parse(corpus.public / "areas/0128/feed.atom").getroot()
    assert link(by_code, "prev-archive") == f"{ROOT}areas/sjovik/feed/{said // PAGE}.atom"


def test_everything_written_anew_is_what_was_written_bit_by_bit(corpus: Corpus) -> None:
    now = NOON + timedelta(minutes=len(corpus.said))
    whole = corpus.store.read(lambda c: boards.board(c, None, now, Mode.LIVE))
    for file in feeds(replace(whole, at=now), corpus.adapter.context):
        if file.path.endswith((".atom", ".rss")):
            assert (corpus.public / file.path).exists(), file.path
            if "/feed/" in f"/{file.path}":
                assert ids(corpus.public / file.path) == [
                    node.text
                    for node in etree.fromstring(file.body).findall(f"{ATOM}entry/{ATOM}id")
                ]
            else:
                assert (corpus.public / file.path).read_bytes() == file.body, file.path


def test_five_hundred_open_incidents_leave_feeds_as_short_as_ever() -> None:
    many = [replace(power_cut(), id=f"B{number}") for number in range(500)]
    for file in feeds(board(*many), context()):
        if file.path.endswith("feed.atom") and "/" not in file.path:
            assert len(etree.fromstring(file.body).findall(f"{ATOM}entry")) <= PAGE
