"""What was made once is not made again, until what it was made of changes or there is no room."""

from __future__ import annotations

import threading
from functools import partial
from operator import neg

from broadcaster.domain.kept import Kept


def test_what_was_made_is_kept_while_what_it_was_made_of_is_the_same() -> None:
    kept: Kept[object] = Kept(2)
    made = kept.of("a", ["same"], object)
    assert kept.of("a", ["same"], object) is made
    anew = kept.of("a", ["other"], object)
    assert anew is not made
    assert kept.look("a", ["other"]) is anew
    assert kept.look("a", ["same"]) is None


def test_what_was_used_last_stays_when_there_is_no_more_room() -> None:
    kept: Kept[str] = Kept(2)
    for name in ("a", "b"):
        kept.keep(name, 1, name)
    kept.look("a", 1)
    kept.keep("c", 1, "c")
    assert len(kept) == 2
    assert (kept.look("a", 1), kept.look("b", 1), kept.look("c", 1)) == ("a", None, "c")


def test_without_room_nothing_is_kept_and_all_is_made() -> None:
    kept: Kept[str] = Kept(0)
    assert kept.of("a", 1, lambda: "made") == "made"
    assert len(kept) == 0


def test_many_threads_get_what_belongs_to_what_they_gave() -> None:
    kept: Kept[int] = Kept(3)
    wrong = []

    def use(start: int) -> None:
        for number in range(start, start + 2_000):
            got = kept.of(number % 5, number, partial(neg, number))
            if got != -number:
                wrong.append(number)

    threads = [threading.Thread(target=use, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(kept) == 3
