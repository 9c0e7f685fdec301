"""Subscribers from a CSV file of any size: read line by line, taken in batches, every refused row named by its line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Set as AbstractSet
from functools import partial
from typing import Any

from broadcaster.locale import phrases, translate
from broadcaster.service import choosing
from broadcaster.service.commands import Operator, Refused, Role
from broadcaster.service.desk import Desk, permit
from broadcaster.service.drafting import area_key
from broadcaster.service.subscribers import letter_channel
from broadcaster.store import Rank, erasures, subscribers
from broadcaster.store.subscribers import NewSubscriber

COLUMNS = ("address", "area", "language")
BATCH = 1_000
MOST_ERRORS = 1_000
LONGEST_LINE = 10_000
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class _Row(Exception):
    """One row cannot be used; `args[0]` is the translated reason, without the address."""


class Lines:
    """Cuts what arrives in pieces into numbered lines, holding one line at most."""

    def __init__(self) -> None:
        self._rest = b""
        self._number = 0
        self._overlong = False

    def feed(self, piece: bytes) -> Iterator[tuple[int, bytes | None]]:
        """Every line that ends in this piece; None in place of one that is too long to be a row."""
        *whole, self._rest = (self._rest + piece).split(b"\n")
        for line in whole:
            self._number += 1
            too_long, self._overlong = self._overlong or len(line) > LONGEST_LINE, False
            yield self._number, None if too_long else line.rstrip(b"\r")
        if len(self._rest) > LONGEST_LINE:
            self._rest, self._overlong = b"", True

    def end(self) -> Iterator[tuple[int, bytes | None]]:
        """The last line, when no line end follows it."""
        if self._rest or self._overlong:
            yield from self.feed(b"\n")


class Import:
    """One run. Feed it the file in pieces, then finish it; `counts` says how far it is.

    Args:
        again: also take who was erased, had said no or whose address is no more; only when he asks for it anew.

    Raises:
        Refused: by the constructor, or while the first line is read; nothing was taken.
    """

    def __init__(
        self,
        desk: Desk,
        operator: Operator,
        *,
        channel: str,
        source: str,
        legal_basis: str,
        language: str,
        again: bool = False,
    ) -> None:
        permit(operator, Role.ADMIN)
        self._desk, self._operator, self._channel, self._again = desk, operator, channel, again
        self._configuration = desk.configuration
        self._adapter = letter_channel(self._configuration, channel)
        for at, text in (("source", source), ("legal_basis", legal_basis)):
            if not text:
                raise Refused("Say where the addresses come from and why they may be used.", at=at)
        self._named = (channel, source, legal_basis)
        self._words = phrases(language)
        self._lines = Lines()
        self._columns: Mapping[str, int] | None = None
        self._delimiter = ","
        self._areas: dict[str, str] = {}
        self._batch: dict[bytes, tuple[int, NewSubscriber]] = {}
        self._erased: frozenset[bytes] = frozenset()
        self._listed = 0
        self._id = 0
        self.counts = {"added": 0, "changed": 0, "refused": 0}
        self.total = 0
        self.errors: list[dict[str, Any]] = []

    @property
    def begun(self) -> bool:
        """Whether the first line was read and understood."""
        return self._columns is not None

    # ---------------------------------------------------------------------------------------------------- from outside
    def feed(self, piece: bytes) -> None:
        """Take a piece of the file; returns when what it holds is stored. Raises StoreError when it cannot be."""
        for number, line in self._lines.feed(piece):
            self._take(number, line)

    def finish(self) -> dict[str, Any]:
        """Take the rest and say what came of it."""
        for number, line in self._lines.end():
            self._take(number, line)
        if not self.begun:
            raise self._no_header("")
        self._flush()
        now = self._desk.clock()
        self._desk.write(
            lambda connection: subscribers.end_import(
                connection, self._id, now, self._operator.name, self.counts
            ),
            Rank.IMPORT,
        )
        return {"errors": self.errors, **self.counts, "total": self.total}

    # ----------------------------------------------------------------------------------------------------- line by line
    def _take(self, number: int, line: bytes | None) -> None:
        if self._columns is None:
            self._begin(line or b"")
        elif line is None or line.strip():
            self.total += 1
            try:
                self._keep(number, self._read(line))
            except _Row as reason:
                self._refuse(number, str(reason))
            if len(self._batch) >= BATCH:
                self._flush()

    def _begin(self, line: bytes) -> None:
        """The first line names the columns."""
        if line.startswith(_UTF16) or b"\x00" in line:
            raise Refused(
                "The file is not UTF-8 text. Save it as CSV UTF-8. Nothing was taken.", at="1"
            )
        header = line.removeprefix(_BOM).decode("utf-8", "replace").strip()
        self._delimiter = ";" if ";" in header else ","
        names = [
            name.strip().lower()
            for name in next(csv.reader([header], delimiter=self._delimiter), [])
        ]
        known = (*COLUMNS, "channel", "gone", *choosing.COLUMNS, "by_himself")
        if set(COLUMNS) - set(names) or set(names) - set(known) or len(set(names)) < len(names):
            raise self._no_header(header)
        listed = erasures.read(self._configuration.settings.erasures)
        self._erased, self._listed = frozenset(one.digest for one in listed), len(listed)
        now = self._desk.clock()
        self._id = self._desk.write(
            lambda connection: subscribers.begin_import(
                connection, now, self._operator.name, *self._named
            ),
            Rank.IMPORT,
        )
        self._columns = {name: place for place, name in enumerate(names)}

    @staticmethod
    def _no_header(found: str) -> Refused:
        return Refused(
            'The first line must name the columns address,area,language; it says "{found}". Nothing was taken.',
            at="1",
            found=found[:80],
        )

    def _read(self, line: bytes | None) -> dict[str, str]:
        if line is None:
            raise self._wrong("the line is too long to be a row")
        try:
            cells = next(csv.reader([line.decode()], delimiter=self._delimiter, strict=True))
        except UnicodeDecodeError:
            raise self._wrong("the line is not UTF-8") from None
        except (csv.Error, StopIteration):
            raise self._wrong("the quotation marks do not match") from None
        assert self._columns is not None  # noqa: S101 - the caller has looked
        if len(cells) != len(self._columns):
            raise self._wrong(
                "it has {found} columns, the first line {wanted}",
                found=len(cells),
                wanted=len(self._columns),
            )
        return {name: cells[place].strip() for name, place in self._columns.items()}

    def _keep(self, number: int, row: Mapping[str, str]) -> None:
        if row.get("channel", self._channel) != self._channel:
            raise self._wrong("it belongs to another channel")
        areas = frozenset(self._area(name) for name in row["area"].replace("|", " ").split())
        if not areas:
            raise self._wrong("it names no area")
        digest, sealed = self._address(row["address"])
        language = self._language(row["language"])
        known = self._batch.get(digest)
        if known is not None:
            areas |= known[1].areas
        try:
            choices = choosing.read(row, (), language)
        except ValueError as error:
            raise self._wrong('"{choice}" cannot be read', choice=str(error)[:20]) from None
        new = NewSubscriber(
            digest=digest, address=sealed, language=language, areas=areas, choices=choices
        )
        self._batch[digest] = (number, new)

    def _area(self, written: str) -> str:
        key = self._areas.get(written)
        if key is None:
            try:
                key = area_key(written, self._configuration.settings)
            except Refused:
                raise self._wrong('there is no area "{area}"', area=written[:80]) from None
            if len(self._areas) < BATCH:
                self._areas[written] = key
        if self._operator.areas and key not in self._operator.areas:
            raise self._wrong("your token is not for {area}", area=key)
        return key

    def _address(self, written: str) -> tuple[bytes, bytes]:
        if not written:
            raise self._wrong("it has no address")
        try:
            address = self._adapter.address(written.removeprefix("'"))
        except ValueError as error:
            raise self._wrong("the address {reason}", reason=error) from None
        vault = self._desk.store.vault
        digest = vault.digest(self._channel, address)
        if digest in self._erased and not self._again:
            raise self._wrong("the address was erased because its owner asked for it")
        return digest, vault.seal(self._channel, address)

    def _language(self, written: str) -> str:
        languages = self._configuration.languages
        if written and written not in languages:
            raise self._wrong('there is no language "{language}"', language=written[:20])
        return written or languages[0]

    def _wrong(self, sentence: str, **values: object) -> _Row:
        return _Row(translate(self._words, sentence, **values))

    def _refuse(self, number: int, reason: str) -> None:
        self.counts["refused"] += 1
        if len(self.errors) < MOST_ERRORS:
            self.errors.append({"line": number, "reason": reason})

    def _flush(self) -> None:
        if not self._batch:
            return
        batch, self._batch = self._batch, {}
        rows = [row for _, row in batch.values()]
        key_id = self._desk.store.vault.key_id
        taken = self._desk.write(
            lambda connection: subscribers.take(
                connection, self._id, self._channel, key_id, rows, again=self._again
            ),
            Rank.IMPORT,
        )
        self._erase_again(batch.keys())
        self.counts["added"] += taken.added
        self.counts["changed"] += taken.changed
        for digest in taken.declined:
            self._refuse(batch[digest][0], str(self._wrong("the address has said no")))

    def _erase_again(self, taken: AbstractSet[bytes]) -> None:
        """Whoever asked to be erased since the import began was perhaps taken after it: the list is written first."""
        listed = erasures.read(self._configuration.settings.erasures)[self._listed :]
        now = self._desk.clock()
        for digest in taken & {one.digest for one in listed}:
            self._desk.write(
                partial(
                    subscribers.erase,
                    channel=self._channel,
                    digest=digest,
                    now=now,
                    actor=self._operator.name,
                )
            )
