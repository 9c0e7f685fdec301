"""Which relative paths may become public files.

One spelling per path: lower-case ASCII only, so neither letter case nor Unicode forms can make
twins, on any file system. Leading dots, reserved device names and the names the bundle itself
writes (`.gz`, `.br`, `.overdue`) are refused.
"""

import re

_SEGMENT = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9_-])?")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?")
_OURS = re.compile(r".*\.overdue(?:\..*)?|.*\.(?:gz|br)")
_SEGMENT_LENGTH = 150  # leaves room for the dot and the suffixes of the staged name (limit 255)
_PATH_LENGTH = 500


class UnsafePath(ValueError):
    """A path that must not be written: outside the rules here, or a symbolic link on disk."""


def check_path(path: str) -> str:
    """Return `path` unchanged, or raise `UnsafePath` when it may not become a public file."""
    if len(path) > _PATH_LENGTH:
        raise UnsafePath(f"public path too long ({len(path)} characters): {path[:60]!r}…")
    for segment in path.split("/"):
        if len(segment) > _SEGMENT_LENGTH or not _SEGMENT.fullmatch(segment):
            raise UnsafePath(f"public path {path!r}: use only a-z 0-9 . _ - in {segment[:60]!r}")
        if _DEVICE.fullmatch(segment) or _OURS.fullmatch(segment):
            raise UnsafePath(f"public path {path!r}: the name {segment!r} is reserved")
    return path


def overdue_path(path: str) -> str:
    """Where the overdue variant stands: `a/index.html` → `a/index.overdue.html`."""
    folder, slash, name = path.rpartition("/")
    stem, dot, suffix = name.partition(".")
    return f"{folder}{slash}{stem}.overdue{dot}{suffix}"


def staged_name(name: str) -> str:
    """The hidden name a new body has until its manifest is committed: `a/.index.html.new`."""
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}.{last}.new"
