"""What comes in by the form, behind the fuses: whoever meets one reads the same answer, and nothing is sent."""

from __future__ import annotations

import structlog

from broadcaster.domain.choices import Choices
from broadcaster.service import fuses, residents
from broadcaster.service.consenting import read_address, residents_channel
from broadcaster.service.desk import Desk

log = structlog.get_logger()


def ask(desk: Desk, channel: str, written: str, choices: Choices, network: str) -> None:
    """As `residents.ask`, from this network ("" where nobody can say).

    Raises:
        Refused: the form itself is wrong.
    """
    if _may(desk, channel, written, network):
        residents.ask(desk, channel, written, choices)


def send_mark(desk: Desk, channel: str, written: str, network: str) -> None:
    """As `residents.send_mark`, from this network.

    Raises:
        Refused: the form itself is wrong.
    """
    if _may(desk, channel, written, network):
        residents.send_mark(desk, channel, written)


def enrol(
    desk: Desk, channel: str, written: str, choices: Choices, network: str, words: str
) -> str | None:
    """As `residents.subscribe`, of a browser that asked from this network; None where a fuse is blown.

    Raises:
        Refused: the form itself is wrong.
    """
    if not _may(desk, channel, written, network):
        return None
    return residents.subscribe(desk, channel, written, choices, "browser", words)


def change(desk: Desk, mark: str, choices: Choices) -> bool | None:
    """As `residents.change`; None where he has done it too often within the hour.

    Raises:
        Refused: there is no such area or language, or no area is chosen.
    """
    if residents.mine(desk, mark) is None:
        return False
    return residents.change(desk, mark, choices) if fuses.may_change(desk, mark) else None


def _may(desk: Desk, channel: str, written: str, network: str) -> bool:
    adapter = residents_channel(desk.configuration, channel)
    address = read_address(adapter, written)
    may = fuses.may_ask(desk, adapter, address, network)
    if not may:
        log.warning("a letter to confirm is not sent: a fuse", channel=channel)
    return may
