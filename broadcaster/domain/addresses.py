"""Where the public record stands below the public address. Addresses are for ever: what is here never changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from broadcaster.domain.board import BoardArea


def language_folder(languages: Sequence[str], language: str) -> str:
    """Return the folder of a language: "" for the first of `languages`, which is the default, else such as "en/"."""
    return "" if language == languages[0] else f"{language.lower()}/"


def incident_path(slug: str) -> str:
    """Return "incidents/a7/"."""
    return f"incidents/{slug}/"


def update_anchor(slug: str, number: int) -> str:
    """Return the anchor of an update on its incident's page, "a7-2"."""
    return f"{slug}-{number}"


def area_paths(area: BoardArea, areas: Iterable[BoardArea]) -> tuple[str, ...]:
    """Return the paths of an area among all `areas`: "areas/norra-ekbyn/", then those by its official codes.

    A code that is some area's key, or an earlier area's code, is left out: one address leads to one area.
    """
    known = tuple(areas)
    taken = {other.key for other in known}
    paths = [f"areas/{area.key}/"]
    for other in known:
        for code in dict.fromkeys(code.lower() for code in other.codes.values()):
            if code not in taken and other.key == area.key:
                paths.append(f"areas/{code}/")
            taken.add(code)
    return tuple(paths)
