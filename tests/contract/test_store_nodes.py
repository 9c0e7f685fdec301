"""Nodes: who runs, with which configuration, and how far its boards are."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from broadcaster.domain.incident import Revision
from broadcaster.store import Store, nodes
from broadcaster.testing.clock import NOON

LATER = NOON + timedelta(seconds=10)


def test_a_node_keeps_its_name_over_a_restart(store: Store) -> None:
    for when, digest in ((NOON, "old"), (LATER, "new")):
        store.write(partial(nodes.register, name="norr", config_digest=digest, now=when)).result()
    assert store.read(nodes.listing) == (
        nodes.Node(name="norr", started_at=LATER, seen_at=LATER, config_digest="new"),
    )


def test_a_beat_moves_when_a_node_was_last_seen_and_nothing_else(store: Store) -> None:
    store.write(partial(nodes.register, name="norr", config_digest="d", now=NOON)).result()
    assert store.write(partial(nodes.beat, name="norr", now=LATER)).result()
    assert store.read(nodes.listing) == (
        nodes.Node(name="norr", started_at=NOON, seen_at=LATER, config_digest="d"),
    )


def test_the_beat_of_a_node_nobody_knows_is_told_from_one_that_counts(store: Store) -> None:
    assert not store.write(partial(nodes.beat, name="syd", now=NOON)).result()
    assert store.read(nodes.listing) == ()


def test_progress_goes_forward_only_also_over_a_restored_backup(store: Store) -> None:
    def show(revision: Revision) -> Revision:
        store.write(
            partial(nodes.shown, node="norr", channel="page", revision=revision, now=NOON)
        ).result()
        (line,) = store.read(nodes.progress)
        return line.revision

    assert show(Revision(1, 17)) == Revision(1, 17)
    assert show(Revision(1, 16)) == Revision(1, 17)
    assert show(Revision(2, 3)) == Revision(2, 3)


def test_progress_is_kept_for_each_board_of_each_node(store: Store) -> None:
    for node in ("norr", "syd"):
        for channel in ("page", "feed"):
            store.write(
                partial(nodes.shown, node=node, channel=channel, revision=Revision(1, 1), now=NOON)
            ).result()
    assert [(line.node, line.channel) for line in store.read(nodes.progress)] == [
        ("norr", "feed"),
        ("norr", "page"),
        ("syd", "feed"),
        ("syd", "page"),
    ]
