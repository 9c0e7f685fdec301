"""Whom a far end must be to be believed is decided once, for every protocol."""

from __future__ import annotations

import re
from pathlib import Path

MAKES_ONE = re.compile(r"create_default_context|SSLContext\(|_https_context")

# libcurl has no such context: it is told by options, in broadcaster/bulkhttp/call.py.
HERE = {
    "broadcaster/httpclient/trust.py": "every channel",
    "broadcaster/cli/wire.py": "the command line, which starts without the calling libraries",
}


def test_whom_to_believe_is_decided_in_one_place(root: Path, modules: list[Path]) -> None:
    makers = {
        str(path)
        for path in modules
        if path.parts[:2] != ("broadcaster", "testing")
        and any(
            MAKES_ONE.search(line)
            for line in (root / path).read_text("utf-8").splitlines()
            if "->" not in line and not line.lstrip().startswith("#")
        )
    }
    assert makers == set(HERE)
