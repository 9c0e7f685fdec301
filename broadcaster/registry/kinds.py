"""Which kinds of channel are installed: the entry points of the group `broadcaster.channels`."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from broadcaster.channel import BoardAdapter, LetterAdapter, PostAdapter

GROUP = "broadcaster.channels"
DISTRIBUTION = "crisis-broadcaster"
_OURS = ("broadcaster", "channels")

Adapter = BoardAdapter | PostAdapter | LetterAdapter
AdapterClass = type[BoardAdapter] | type[PostAdapter] | type[LetterAdapter]


class KindUnavailableError(Exception):
    """A kind cannot be used; the message says what is missing and the command to type."""


class ForeignOwnerError(Exception):
    """Another distribution has installed over an import name of ours; the message names it and the remedy."""


def entries() -> dict[str, EntryPoint]:
    """Kind → its entry point, nothing imported."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def kinds() -> Mapping[str, AdapterClass]:
    """Kind → adapter class, of every kind that can be imported."""
    found: dict[str, AdapterClass] = {}
    for name, entry in sorted(entries().items()):
        try:
            found[name] = adapter_class(entry)
        except KindUnavailableError:
            continue
    return found


def adapter_class(entry: EntryPoint) -> AdapterClass:
    """The class an entry point names.

    Raises:
        KindUnavailableError: it cannot be imported, or is not an adapter.
    """
    try:
        found = entry.load()
    except (ImportError, AttributeError) as error:
        raise KindUnavailableError(_remedy(entry, error)) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module that exits must not take the daemon with it
        fault = type(error).__name__
        raise KindUnavailableError(
            f'kind "{entry.name}": {entry.value} breaks when it is imported ({fault}): ask its author'
        ) from error
    if not (
        isinstance(found, type) and issubclass(found, BoardAdapter | PostAdapter | LetterAdapter)
    ):
        raise KindUnavailableError(f'kind "{entry.name}": {entry.value} is not a channel adapter')
    return found


def _remedy(entry: EntryPoint, error: ImportError | AttributeError) -> str:
    missing = (error.name if isinstance(error, ImportError) else None) or entry.value
    owner = entry.dist.name if entry.dist else DISTRIBUTION
    extras = f"[{','.join(entry.extras)}]" if entry.extras else ""
    again = "" if extras else "--force-reinstall "
    command = f"python -m pip install {again}'{owner}{extras}'"
    if extras and entry.dist and (sources := _sources(entry.dist)):
        # The locks with their hashes are there.
        here = "" if Path(sys.prefix) == sources / ".venv" else f" VENV={shlex.quote(sys.prefix)}"
        command = (
            f'make -C {shlex.quote(str(sources))} setup EXTRAS="{" ".join(entry.extras)}"{here}'
        )
    return f'kind "{entry.name}" needs {missing}, which is not installed: type  {command}'


def _sources(installed: Distribution) -> Path | None:
    """The folder of the sources that we run from; None where we were installed from a wheel, and for others' packages."""
    written = installed.read_text("direct_url.json")
    origin = json.loads(written) if written else {}
    if installed.name != DISTRIBUTION or not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(url2pathname(urlsplit(origin["url"]).path))


def owners() -> dict[str, list[str]]:
    """Which distributions have installed each import name of ours; none where it runs from its sources.

    As `importlib.metadata.packages_distributions`, which reads every file of every distribution: 60 ms against 5.
    """
    found: dict[str, list[str]] = {name: [] for name in _OURS}
    for installed in distributions():
        written = installed.read_text("top_level.txt") or installed.read_text("RECORD") or ""
        for name, named in found.items():
            if re.search(rf"^{name}(?:/|\.py,|$)", written, re.MULTILINE):
                named.append(installed.name)
    return found


def refuse_foreign_owners(owners: Callable[[], Mapping[str, Iterable[str]]] = owners) -> None:
    """See that no other distribution owns the import names `broadcaster` or `channels`.

    Django Channels installs `channels` and another package `broadcaster`; installers overwrite silently.

    Raises:
        ForeignOwnerError: one does.
    """
    installed = owners()
    for name in _OURS:
        foreign = sorted({*installed.get(name, ())} - {DISTRIBUTION})
        if foreign:
            raise ForeignOwnerError(
                f'the package {foreign[0]} has installed its own "{name}" over ours: '
                f"install {DISTRIBUTION} into an environment of its own (python3 -m venv)"
            )
