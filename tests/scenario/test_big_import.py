"""However many subscribers a file holds, importing them takes no more memory than the first of them did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from broadcaster.testing.apart import MEBIBYTE, Apart

HALF = 25_000
IMPORT = "/api/v1/subscribers/import?channel=sms&source=list&legal_basis=law"


def rows(first: int) -> bytes:
    """Half a file; numbers, areas and languages as people have them, every tenth row refused."""
    lines = (
        f"+4670{1_740_600 + number:07d},norra-ekbyn sodra-ekbyn,{'sv' if number % 10 else 'fi'}\n"
        for number in range(first, first + HALF)
    )
    return "".join(lines).encode()


@pytest.mark.slow
def test_the_second_half_of_a_big_file_takes_no_memory_of_its_own(tmp_path: Path) -> None:
    head, halves = b"address,area,language\n", (rows(0), rows(HALF))
    size = len(head) + sum(map(len, halves))
    with Apart(tmp_path) as apart, apart.connect() as client:
        answer = client.makefile("rb")

        def until(field: str, number: int) -> None:
            while not (line := answer.readline()).startswith(b"{") or (
                json.loads(line).get(field, -1) < number
            ):
                assert line, "the import broke off"

        client.sendall(apart.head(IMPORT, f"Content-Length: {size}") + head + halves[0])
        until("done", HALF)
        before = apart.memory
        client.sendall(halves[1])
        until("total", 2 * HALF)
        grown = apart.memory - before
    assert grown < 3 * MEBIBYTE
