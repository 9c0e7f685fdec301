"""Up to which revision a hub was told, kept beside the public files, so that a restart neither forgets nor repeats."""

from __future__ import annotations

import json
from pathlib import Path

from broadcaster.channel import Revision, Transient


class Record:
    """The record of one channel at `path`; what was told to another hub than `hub` counts for nothing."""

    def __init__(self, path: Path, hub: str) -> None:
        self._path = path
        self._hub = hub

    def read(self) -> Revision | None:
        """Return the revision, None when there is none; raises Transient when it cannot be read."""
        try:
            kept = json.loads(self._path.read_bytes())
            return Revision.parse(kept["revision"]) if kept["hub"] == self._hub else None
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None  # none, or half of one: the hub is told of what is new lately
        except OSError as error:
            raise self._unusable(error) from error

    def write(self, revision: Revision) -> None:
        """Keep the revision, whole or not at all; raises Transient when it cannot be written."""
        aside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(exist_ok=True)
            aside.write_text(json.dumps({"hub": self._hub, "revision": str(revision)}))
            aside.replace(self._path)
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> Transient:
        return Transient(
            f"{self._path} could not be read or written ({error.strerror}): mend its permissions, or make room."
        )
