"""Making an adapter from its block, in its own process, and saying what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from broadcaster.channel import (
    CanAmend,
    CanCollect,
    CanConfirm,
    CanFind,
    CanProbe,
    CanReceive,
    CanWithdraw,
    ChannelSettings,
    LetterAdapter,
    PostAdapter,
)
from broadcaster.credentials import held_secrets, literal_secrets
from broadcaster.ownprocess.wire import Found, Opening, Wrong
from broadcaster.registry.kinds import (
    Adapter,
    AdapterClass,
    KindUnavailableError,
    adapter_class,
    entries,
)
from broadcaster.settings.sentences import findings, mask

ABILITIES: dict[str, Any] = {
    "probe": CanProbe,
    "find": CanFind,
    "confirm": CanConfirm,
    "amend": CanAmend,
    "withdraw": CanWithdraw,
    "receive": CanReceive,
    "collect": CanCollect,
}
"""Each optional ability by the name of the method it is asked for by."""


class Refused(Exception):
    """The block cannot be used as it is written; `wrong` says where and why."""

    def __init__(self, wrong: Wrong) -> None:
        super().__init__("the channel's block is wrong")
        self.wrong = wrong


def made(opening: Opening) -> Adapter:
    """The adapter that a block describes.

    Raises:
        KindUnavailableError: its kind cannot be imported.
        Refused: the block is wrong.
    """
    entry = entries().get(opening.kind)
    if entry is None:
        raise KindUnavailableError(f'there is no kind "{opening.kind}"')
    adapter = adapter_class(entry)
    settings = _settings(adapter, opening)
    try:
        return adapter(settings, opening.context)
    except ValueError as error:
        raise Refused(Wrong((((), mask(str(error), held_secrets(settings))),))) from None
    except Exception as error:
        raise KindUnavailableError(breaks(opening.kind, type(error).__name__)) from error


def breaks(kind: str, fault: str) -> str:
    """What is said of an adapter that cannot be made, though nothing is wrong with what is written."""
    return f'kind "{kind}" breaks when it is started: {fault}'


def _settings(adapter: AdapterClass, opening: Opening) -> ChannelSettings:
    context = {"base": Path(opening.base), "written": True}
    try:
        return adapter.Settings.model_validate(opening.resolved, context=context)
    except ValidationError as error:
        wrong = findings(error, adapter.Settings, opening.written, opening.resolved)
        raise Refused(Wrong(tuple(wrong))) from None


def found(adapter: Adapter, opening: Opening) -> Found:
    """What an adapter says of itself."""
    settings: ChannelSettings = adapter.settings
    return Found(
        shape=adapter.shape,
        abilities=tuple(
            name for name, ability in ABILITIES.items() if isinstance(adapter, ability)
        ),
        repeatable=isinstance(adapter, PostAdapter) and adapter.repeatable,
        medium=adapter.medium if isinstance(adapter, LetterAdapter) else "",
        suppliers=adapter.suppliers() if isinstance(adapter, LetterAdapter) else (),
        hosts=tuple(adapter.hosts()),
        secrets=(*adapter.secrets(), *held_secrets(settings)),
        literal=tuple(literal_secrets(settings, opening.written)),
        keys=settings.model_dump(mode="json", include=set(ChannelSettings.model_fields)),
    )
