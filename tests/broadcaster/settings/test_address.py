import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from broadcaster.settings import ConfigErrors, read_address

Write = Callable[..., Path]


def test_reporting_reads_its_address_without_any_secret(write: Write) -> None:
    found = read_address(write({"mode: live": 'mode: drill\napi: {listen: "10.0.0.5:9000"}'}))
    assert found["listen"] == "10.0.0.5:9000"
    assert found["mode"] == "drill"
    assert found["organisation"]["languages"] == ["sv", "en"]
    assert found["areas"]["norra-ekbyn"]["name"] == "Norra Ekbyn"


def test_a_broken_file_is_refused_with_its_line(write: Write) -> None:
    with pytest.raises(ConfigErrors, match=r"broadcaster\.yaml:3"):
        read_address(write(text="a: 1\nb: [\n"))


def test_reading_the_address_imports_no_pydantic(write: Write) -> None:
    code = (
        "import sys, json, pathlib; from broadcaster.settings import read_address; "
        f"read_address(pathlib.Path({str(write())!r})); "
        "print(json.dumps([m for m in ('pydantic', 'sqlalchemy', 'requests') if m in sys.modules]))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert json.loads(answer.stdout) == []
