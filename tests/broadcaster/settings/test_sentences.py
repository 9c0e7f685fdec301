from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from broadcaster.settings.sentences import describe, did_you_mean, span
from broadcaster.settings.source import read


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Kannel(Closed):
    preset: Literal["kannel"]
    username: str
    password: SecretStr
    account: str = Field("", pattern="^AC", description="The account, AC….")
    port: int = Field(1, ge=1, le=9)

    @field_validator("password")
    @classmethod
    def _long(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value().startswith("canary"):
            raise ValueError("is not a password")
        return value

    @field_validator("username")
    @classmethod
    def _plain(cls, value: str) -> str:
        if " " in value:
            raise ValueError(f"no spaces in {value}")
        return value


class Generic(Closed):
    preset: Literal["generic"]
    json_body: dict[str, str] = Field(alias="json")


class Model(Closed):
    suppliers: tuple[Annotated[Kannel | Generic, Field(discriminator="preset")], ...]


def sentences(tmp_path: Path, supplier: str, resolved: object = None) -> dict[str, str]:
    path = tmp_path / "a.yaml"
    path.write_text(f"sms:\n  suppliers:\n    - {supplier}\n", encoding="utf-8")
    source = read(path)
    block = source.document["sms"] if resolved is None else resolved
    with pytest.raises(ValidationError) as caught:
        Model.model_validate(block)
    errors = describe(caught.value, Model, source, ("sms",), block)
    assert {error.line for error in errors} == {3}
    return {error.path.removeprefix("sms.suppliers[0]"): error.sentence for error in errors}


@pytest.mark.parametrize(
    ("supplier", "expected"),
    [
        ("{preset: kanel}", {"": '"kanel" is no preset we know: did you mean "kannel"?'}),
        ("{preset: sms}", {"": '"sms" is no preset we know: write one of generic, kannel'}),
        ("{username: u}", {"": "preset is missing: write one of generic, kannel"}),
        (
            "{preset: kannel, usrname: u, password: p}",
            {".username": "is missing: write it", ".usrname": 'unknown key "usrname": did you mean "username"?'},
        ),
        ("{preset: generic, jsn: {}, json: {}}", {".jsn": 'unknown key "jsn": did you mean "json"?'}),
        (
            "{preset: kannel, username: u, password: p, account: x, port: 10}",
            {".account": '"x" is not written as it must be here: The account, AC….', ".port": "must be at most 9"},
        ),
    ],
)  # fmt: skip
def test_alternatives_are_told_apart_in_errors(
    tmp_path: Path, supplier: str, expected: dict[str, str]
) -> None:
    assert sentences(tmp_path, supplier) == expected


def test_what_came_by_a_reference_is_masked_even_where_no_secret_is_declared(
    tmp_path: Path,
) -> None:
    resolved = {"suppliers": [{"preset": "kannel", "username": "canary 7f3a", "password": "p"}]}
    found = sentences(tmp_path, '{preset: kannel, username: "${USER}", password: p}', resolved)
    assert found == {".username": "no spaces in …"}


def test_a_secret_written_into_the_file_is_masked(tmp_path: Path) -> None:
    found = sentences(tmp_path, "{preset: kannel, username: u, password: canary-9c}")
    assert found == {".password": '"…" is not a password'}


def test_a_far_word_is_answered_with_all_there_are() -> None:
    assert did_you_mean("qqq", ["b", "a"]) == "write one of a, b"
    assert did_you_mean("qqq", []) == ""


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(2700, "45m"), (7200, "2h"), (12, "12s"), (90, "90s"), (0, "0s"), (1.5, "1.5s")],
)
def test_seconds_are_written_as_people_write_them(seconds: float, written: str) -> None:
    assert span(seconds) == written
