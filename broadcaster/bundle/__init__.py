"""Complete public files, written so that no reader ever meets half a revision.

A board adapter renders its files and hands them to `Bundle.publish`. The public server
(`broadcaster.public`) and any web server read the same directory. What stands on disk, and why
in this order, is told in `docs/adr/0010-bundle-and-public-server.md`.

Several owners (channel names) share one directory; each has its own manifest and its own paths.
"""

from broadcaster.bundle.bundle import Bundle, NotStanding, OlderRevision
from broadcaster.bundle.file import File, Overdue
from broadcaster.bundle.paths import UnsafePath

__all__ = ["Bundle", "File", "NotStanding", "OlderRevision", "Overdue", "UnsafePath"]
