from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from broadcaster.settings.source import DEPTH, LIMIT, read


def errors(tmp_path: Path, text: str | bytes) -> list[tuple[int, str, str]]:
    path = tmp_path / "a.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [(error.line, error.path, error.sentence) for error in read(path).errors]


@pytest.mark.parametrize(
    ("scalar", "part"),
    [
        ("0127", 'octal (0127 as 87): write "0127" in quotes'),
        ("0980", 'write "0980" in quotes'),
        ("0701234567", 'write "0701234567" in quotes'),
        ("no", 'write "no" in quotes, or true or false if a switch is meant'),
        ("Yes", 'write "Yes" in quotes'),
        ("off", 'write "off" in quotes'),
        ("ON", 'write "ON" in quotes'),
        ("19:00", '(19:00 as 1140): write "19:00" in quotes'),
        ("8:30:00", 'write "8:30:00" in quotes'),
        ("1_000", "a number is written without _"),
        ("2026-11-22", 'an unquoted date is not a text: write "2026-11-22"'),
        ("2026-11-22 14:00:00", "an unquoted date"),
        ("0x1F", "another kind of number"),
        ("1e3", "an unquoted exponent"),
        (".inf", "an unquoted exponent"),
        ("+46701234567", "loses its +"),
    ],
)
def test_a_scalar_yaml_would_misread_is_refused_with_the_remedy(
    tmp_path: Path, scalar: str, part: str
) -> None:
    ((line, path, sentence),) = errors(tmp_path, f"a: 1\nb:\n  - {scalar}\n")
    assert (line, path) == (3, "b[0]")
    assert part in sentence
    assert errors(tmp_path, f'a: 1\nb:\n  - "{scalar}"\n') == []


@pytest.mark.parametrize("key", ["no", "0127", "19:00", "<<"])
def test_a_key_yaml_would_misread_is_refused(tmp_path: Path, key: str) -> None:
    ((line, path, _),) = errors(tmp_path, f"a: 1\n{key}: {{b: 1}}\n")
    assert (line, path) == (2, key)


@pytest.mark.parametrize(
    ("text", "line", "path", "part"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "a", "stands twice (first in line 1): keep one"),
        ("a:\n  c: 1\n\td: 2\n", 3, "(the whole file)", "a tab stands where YAML wants spaces"),
        ("a: &x 1\nb: 2\n", 1, "(the whole file)", "anchors (&) and aliases (*)"),
        ("a: 1\nb: *x\n", 2, "(the whole file)", "anchors (&) and aliases (*)"),
        ("a: !!python/object/apply:os.system [id]\n", 1, "(the whole file)", "tags (!)"),
        ("a: !!str 5\n", 1, "(the whole file)", "tags (!)"),
        ("a: [1, 2\nb: 3\n", 2, "(the whole file)", "is not YAML here"),
        ("a: {b: ${C}}\n", 1, "(the whole file)", 'in quotes, such as "${NAME}"'),
        ("a: {? [x] : 1}\n", 1, "a", "a key must be a plain word"),
        ("a: 1\n---\nb: 2\n", 2, "(the whole file)", "several documents"),
        ("", 1, "(the whole file)", "is empty"),
        ("- a\n", 1, "(the whole file)", "must be keys with values"),
        ("a: 1\nb: \x07\n", 2, "(the whole file)", "control character (U+0007)"),
        (b"a: 1\nb: \xff\n", 2, "(the whole file)", "is not UTF-8"),
        ("[" * (DEPTH + 5), 1, "(the whole file)", f"nests deeper than {DEPTH} levels"),
        ("a" * (LIMIT + 1), 1, "(the whole file)", "is larger than 1000 kB"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_with_its_line(
    tmp_path: Path, text: str | bytes, line: int, path: str, part: str
) -> None:
    ((found_line, found_path, sentence),) = errors(tmp_path, text)
    assert (found_line, found_path) == (line, path)
    assert part in sentence


def test_an_alias_bomb_is_refused_without_being_built(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
    )
    assert len(errors(tmp_path, bomb)) == 200


def test_plain_values_are_what_they_look_like(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        'text: 0123-456 78\nlisten: 127.0.0.1:8080\nspan: 45m\nn: -5\nd: 1.5\nt: true\ne:\nq: "1"\n'
        "many: |\n  a\n  b\n",
        encoding="utf-8-sig",
    )
    source = read(path)
    assert source.errors == []
    assert source.document == {
        "text": "0123-456 78",
        "listen": "127.0.0.1:8080",
        "span": "45m",
        "n": -5,
        "d": 1.5,
        "t": True,
        "e": None,
        "q": "1",
        "many": "a\nb\n",
    }
    assert source.lines["many",] == 9


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_and_never_breaks_the_reader(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    source = read(path)
    assert source.errors or isinstance(source.document, dict)
