"""Whatever is said, the copy holds it in the very bytes that page, feed and CAP rendered: the skeletons of messages.md §4c."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broadcaster.channel import Kind
from broadcaster.testing.boards import NOW, board, context, power_cut, update
from channels.cap import CapAdapter
from channels.feed import FeedAdapter
from channels.page import PageAdapter

from .conftest import ATTEMPT, Boards

SKELETONS = {
    "first": (
        Kind.REPORT,
        "Ekbyns Energi: STRÖMAVBROTT i Norra Ekbyn sedan 14.05. Orsak okänd, montör på väg. Ring inte 112 om avbrottet. Nästa besked senast 14.45: ekbyn.example/a7",
    ),
    "estimate": (
        Kind.UPDATE,
        "Ekbyns Energi: STRÖMAVBROTT Norra Ekbyn. De flesta har ström senast 19.00, många tidigare. Håll kyl och frys stängda. Nästa besked 17.00: ekbyn.example/a7",
    ),
    "holding": (
        Kind.HOLDING,
        "Ekbyns Energi: STRÖMAVBROTT Norra Ekbyn pågår. Inget nytt, felsökning fortsätter. Tidigare bedömning gäller: senast 19.00. Nästa besked 18.00: ekbyn.example/a7",
    ),
    "new estimate": (
        Kind.UPDATE,
        "Ekbyns Energi: STRÖMAVBROTT Norra Ekbyn. Ny bedömning: senast 21.00, inte 19.00. En kabel måste bytas, inte lagas. Nästa besked 19.00: ekbyn.example/a7",
    ),
    "correction": (
        Kind.CORRECTION,
        "RÄTTELSE från Ekbyns Energi: Vi skrev att bara Norra Ekbyn är utan ström. Rätt är Norra och Östra Ekbyn. Vi beklagar felet. Nästa besked 15.50: ekbyn.example/a7",
    ),
    "retraction": (
        Kind.RETRACTION,
        "Ekbyns Energi: Vårt besked 14.40 om Östra Ekbyn gäller inte, strömmen är på där. Vi beklagar felet. Läget: ekbyn.example/a7",
    ),
    "restored": (
        Kind.RESTORED,
        "Ekbyns Energi: STRÖMMEN ÅTER i Norra Ekbyn 18.40. Du behöver inte göra något. Fortfarande mörkt? Svara MÖRKT. Rätt till ersättning: ekbyn.example/a7",
    ),
}
ADAPTERS: tuple[Any, ...] = (PageAdapter, FeedAdapter, CapAdapter)
FRONT = {"index.html", "en/index.html"}
"""They hold a line more, which `test_mirror` judges; their compressed forms stay at home."""


@pytest.mark.parametrize("name", SKELETONS)
def test_the_copy_is_byte_for_byte_what_page_feed_and_cap_rendered(
    tmp_path: Path, name: str
) -> None:
    kind, text = SKELETONS[name]
    first = power_cut().updates[-1]
    told = update(first.number + 1, kind, NOW, text, corrects=first.number)
    shown = board(replace(power_cut(), updates=(told, first)))
    boards = Boards(tmp_path)
    rendered: dict[str, bytes] = {}
    for adapter in ADAPTERS:
        kind_of_board = adapter.__module__.split(".")[1]
        made = context(public_directory=str(boards.public), name=kind_of_board)
        maker = adapter(adapter.Settings(kind=kind_of_board), made)
        rendered |= {file.path: file.body for file in maker.files(shown)}
        maker.show(shown, ATTEMPT)
        maker.close()
    boards.mirror(boards=["page", "feed", "cap"]).show(shown, ATTEMPT)

    wrong = {
        path
        for path, body in rendered.items()
        if path not in FRONT and (boards.copy / path).read_bytes() != body
    }
    assert not wrong
    holding = {path for path, body in rendered.items() if text.encode() in body}
    assert {path.rpartition(".")[2] for path in holding} >= {"html", "xml", "rss", "atom", "json"}
