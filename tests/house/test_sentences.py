"""What an operator reads is known to the Swedish catalogue, also what is written far from it.

Domain, adapters, the engine and the store write English with values filled in. Here their source is read: every full
sentence, and every shorter remark that becomes a delivery's detail, must be one that `retell` can find. The service and
the API name their sentences with their blanks: each must be in some catalogue. What is wrong with a configuration is
found by settings, registry and the channels' settings, and by pydantic and PyYAML below them: each must be in `settings`.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
import yaml

from broadcaster import store
from broadcaster.channel import Failure
from broadcaster.domain.text import BadText, TextTooLong
from broadcaster.locale import catalogue, operators_languages, phrases
from broadcaster.store import StoreError

LOOKED_AT = (
    *("domain", "httpclient", "bulkhttp", "bundle", "sms"),
    *("store", "engine", "ownprocess", "daemon"),
)
TRANSLATING = ("service", "api")
CONFIGURING = ("settings", "registry", "credentials.py", "httpclient/address.py")
TRANSLATED = [language for language in operators_languages() if language != "en"]
BLANK = re.compile(r"\{[^{}]*\}")
WORDS = re.compile(r"[^\W\d_]{2,}")
_A_FEW = 3
_PHRASE = 2  # words; what is said about a configuration is short


for part in iter_modules(store.__path__):  # so that every kind of StoreError is known
    import_module(f"{store.__name__}.{part.name}")


def kinds(base: type) -> set[str]:
    """The names of a class and all that inherit from it."""
    return {base.__name__}.union(*map(kinds, base.__subclasses__()))


# Calls whose short remarks an operator reads, besides full sentences.
TELLING = {"put_back", "end", "move", "values", "_row", "park", "note_detail", "LetterRow"}
TELLING |= {"Degraded", "Receipt", "Probe", "Report"} | kinds(Failure) | kinds(StoreError)
TELLING |= kinds(BadText) | kinds(TextTooLong) | {"split_text"}
# What is for the log, for the configuration's schema or SQL, or goes through `_("…")`, which another test looks after.
ELSEWHERE = {"text", "exec_driver_sql", "Field", "_", "say", "_say", "note", "opt", "observe"}
ELSEWHERE |= {"compile"}
UNSAID = {
    "due row of an incident that is not there: {}": "the log",
    "promise broken, staff told": "the outcome of a due row",
    "promise broken, no holding message is configured": "the outcome of a due row",
    "not sent, staff told": "the outcome of a due row",
    "too late to be said, staff told": "the outcome of a due row",
    "the plan was changed": "the outcome of a due row",
    "What is put right has gone further meanwhile.": "a conflict that is tried again",
    "No token was made.": "an end that is put to other sentences",
    "The headers are too large.": "said before anything is read, the language too",
    "default-src 'none'; frame-ancestors 'none'": "a header",
    'attachment; filename="subscribers.csv"': "a header",
    "text/csv; charset=utf-8": "a header",
    "broadcaster channels reroute {} --to NAME": "a command",
}
"""Strings of service and API that no operator reads, or cannot be said in his language, and why."""
NOT_FOUND_IN_A_CONFIGURATION = {
    "module {} has no attribute {}": "a mistake of a programmer",
    "[0-9]{}-[0-9]{}-[0-9]{}([Tt \t].*)?": "an expression",
    "python -m pip install {}'{}{}'": "a command",
    'make -C {} setup EXTRAS="{}"{}': "a command",
    "expected a single document": "what PyYAML says, looked for",
    'the package {} has installed its own "{}" over ours: install {} into an environment of its own (python3 -m venv)': "about an installation: among the failures",
    "{} instead of a letter and its outcome": "a defect of an adapter, told by the engine",
    "the channel's block is wrong": "an exception between two modules",
    "Ekbyns Energi": "a name that init writes",
    "Vårt tidigare meddelande var fel och gäller inte.": "what residents read",
    "Our earlier message was wrong and does not apply.": "what residents read",
    "Den forrige meldingen vår var feil og gjelder ikke.": "what residents read",
    "Den førre meldinga vår var feil og gjeld ikkje.": "what residents read",
    "Det vi skrev förut var fel. Det gäller inte.": "what residents read",
    "Eikby Nett": "a name that init writes",
}
"""Strings of settings and registry that say nothing about what is written in a configuration, and why."""
FOR_THE_LOG = {"reply", "url", "handle", "description", "summary"}


def template(node: ast.expr) -> str | None:
    """A string with every value it is filled with as {}, or None for what is no string."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return BLANK.sub("{}", node.value).strip()
    if isinstance(node, ast.JoinedStr):
        parts = [
            BLANK.sub("{}", str(p.value)) if isinstance(p, ast.Constant) else "{}"
            for p in node.values
        ]
        # A blank after the full stop holds a sentence of its own (what the platform says), or nothing.
        return re.sub(r"\.\{\}$", ".", "".join(parts).strip())
    return None


def name_of(call: ast.Call) -> str:
    called = call.func
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def is_logged(call: ast.Call) -> bool:
    called = call.func
    return isinstance(called, ast.Attribute) and getattr(called.value, "id", "") == "log"


class Sentences(ast.NodeVisitor):
    """Collects (line, template) of what an operator may read; `every` string of so many words, where all are for him."""

    def __init__(self, *, every: int | None = None) -> None:
        self._every = every
        self.found: list[tuple[int, str]] = []
        self._assigned: list[dict[str, list[ast.expr]]] = [{}]
        self._telling = False

    def visit_Module(self, node: ast.Module) -> None:
        for inner in node.body:
            if isinstance(inner, ast.Assign | ast.AnnAssign) and inner.value is not None:
                target = inner.targets[0] if isinstance(inner, ast.Assign) else inner.target
                if isinstance(target, ast.Name):
                    self._assigned[0].setdefault(target.id, []).append(inner.value)
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        assigned: dict[str, list[ast.expr]] = {}
        for inner in ast.walk(node):
            if isinstance(inner, ast.Assign) and isinstance(inner.targets[0], ast.Name):
                assigned.setdefault(inner.targets[0].id, []).append(inner.value)
        self._assigned.append(assigned)
        self.generic_visit(node)
        self._assigned.pop()

    def visit_Call(self, node: ast.Call) -> None:
        if is_logged(node) or name_of(node) in ELSEWHERE:
            return
        before, self._telling = self._telling, name_of(node) in TELLING
        self.visit(node.func)
        for argument in node.args:
            self.visit(argument)
        for keyword in node.keywords:
            if keyword.arg not in FOR_THE_LOG:
                self.visit(keyword.value)
        self._telling = before

    def visit_Dict(self, node: ast.Dict) -> None:
        before = self._telling
        for key, value in zip(node.keys, node.values, strict=True):
            self._telling = before or (isinstance(key, ast.Constant) and key.value == "detail")
            self.visit(value)
        self._telling = before

    def visit_Constant(self, node: ast.Constant) -> None:
        self._note(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        if not self._note(node):
            return
        for part in node.values:  # what a sentence is made of: `several`, `how`
            if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name):
                for value in self._assigned[-1].get(part.value.id, []):
                    self._note_either(value)

    def _note_either(self, value: ast.expr) -> None:
        if isinstance(value, ast.IfExp):
            self._note_either(value.body)
            self._note_either(value.orelse)
        elif isinstance(value, ast.Subscript) and isinstance(value.value, ast.Name):
            for table in self._assigned[0].get(value.value.id, []):
                for each in table.values if isinstance(table, ast.Dict) else []:
                    self._note_either(each)
        elif (said := template(value)) is not None and WORDS.search(said) and " " in said:
            self.found.append((value.lineno, said))

    def _note(self, node: ast.expr) -> bool:
        said = template(node)
        if said is None or not WORDS.search(BLANK.sub("", said)):
            return False
        full = said.endswith((".", "?")) and " " in said
        words = len(WORDS.findall(BLANK.sub("", said)))
        full = full or (self._every is not None and " " in said and words >= self._every)
        if full or (self._telling and " " in said):
            self.found.append((node.lineno, said))
            return True
        return False


def sources(root: Path) -> list[Path]:
    core = [
        path
        for part in LOOKED_AT
        for path in sorted((root / "broadcaster" / part).rglob("*.py"))
        if "migrations" not in path.parts
    ]
    # A channel's settings are read by `config check`, its pages by residents: other sentences.
    channels = [
        path for path in sorted((root / "channels").rglob("*.py")) if path.stem != "settings"
    ]
    return core + channels


def written(root: Path) -> Iterator[tuple[str, str]]:
    """Every (place, template) in the source."""
    for path in sources(root):
        visitor = Sentences()
        visitor.visit(ast.parse(path.read_text(encoding="utf-8")))
        for line, said in visitor.found:
            yield f"{path.relative_to(root)}:{line}", said


def spoken(root: Path) -> Iterator[tuple[str, str]]:
    """Every (place, sentence) that service and API say themselves."""
    for part in TRANSLATING:
        for path in sorted((root / "broadcaster" / part).rglob("*.py")):
            visitor = Sentences(every=_A_FEW + 1)
            visitor.visit(ast.parse(path.read_text(encoding="utf-8")))
            for line, said in visitor.found:
                yield f"{path.relative_to(root)}:{line}", said


def about_configurations(root: Path) -> Iterator[tuple[str, str]]:
    """Every (place, template) that a configuration can be found wrong with by our own code."""
    for part in CONFIGURING:
        here = root / "broadcaster" / part
        for path in sorted(here.rglob("*.py")) if here.is_dir() else [here]:
            visitor = Sentences(every=_PHRASE)
            visitor.visit(ast.parse(path.read_text(encoding="utf-8")))
            for line, said in visitor.found:
                if "\n" not in said:  # a whole file that `init` writes
                    yield f"{path.relative_to(root)}:{line}", said
    adapters = [*(root / "broadcaster/sms").rglob("*.py"), *(root / "channels").rglob("*.py")]
    for path in [root / "broadcaster/channel.py", *sorted(adapters)]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and name_of(node) == "ValueError" and node.args:
                own = template(node.args[0])
                # A full sentence is about a text or a receipt.
                if own is not None and not own.endswith("."):
                    yield f"{path.relative_to(root)}:{node.lineno}", own


def yaml_problems() -> Iterator[tuple[str, str]]:
    """Every (place, template) that PyYAML says of a text it cannot read: the third thing its errors are made of."""
    for part in (yaml.scanner, yaml.parser, yaml.composer):
        for node in ast.walk(ast.parse(inspect.getsource(part))):
            if isinstance(node, ast.Call) and name_of(node).endswith("Error") and node.args[2:]:
                said = node.args[2]
                while isinstance(said, ast.BinOp):  # "…" % (values)
                    said = said.left
                if isinstance(said, ast.Constant) and isinstance(said.value, str):
                    yield part.__name__, re.sub("%[rsd]", "{}", said.value)


def literals(root: Path) -> str:
    """All text between quotes in the core and the channels."""
    trees = (
        ast.parse(path.read_text(encoding="utf-8"))
        for part in ("broadcaster", "channels")
        for path in sorted((root / part).rglob("*.py"))
    )
    return "\n".join(
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def known(language: str, part: str = "failures") -> set[str]:
    return {BLANK.sub("{}", sentence) for sentence in catalogue(language, part)}


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_failure_and_remark_can_be_retold(root: Path, language: str) -> None:
    can = known(language)
    missing = [f"{place}: {said}" for place, said in written(root) if said not in can]
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_sentence_of_service_and_api_is_translated(root: Path, language: str) -> None:
    can = {BLANK.sub("{}", sentence) for sentence in phrases(language)}
    said = list(spoken(root))
    assert len(said) > 100
    missing = [f"{place}: {one}" for place, one in said if one not in can and one not in UNSAID]
    assert not missing, "\n".join(missing)
    assert set(UNSAID) - {one for _, one in said} == set()


@pytest.mark.parametrize("language", TRANSLATED)
def test_whatever_a_configuration_is_found_wrong_with_can_be_retold(
    root: Path, language: str
) -> None:
    can = known(language, "settings")
    said = list(about_configurations(root))
    assert len(said) > 80
    unsaid = NOT_FOUND_IN_A_CONFIGURATION
    missing = [f"{place}: {one}" for place, one in said if one not in can and one not in unsaid]
    assert not missing, "\n".join(missing)
    assert set(unsaid) - {one for _, one in said} == set()


@pytest.mark.parametrize("language", TRANSLATED)
def test_whatever_pyyaml_says_can_be_retold(language: str) -> None:
    can = {sentence.replace("}}", "}") for sentence in known(language, "settings")}
    said = list(yaml_problems())
    assert len(said) > 30
    assert [one for one in said if one[1] not in can] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_nothing_is_kept_that_nobody_says_any_more(root: Path, language: str) -> None:
    said, anywhere = {said for _, said in written(root)}, literals(root)
    stale = [
        sentence
        for sentence in known(language) - said
        if not all(piece.rstrip(".") in anywhere for piece in sentence.split("{}"))
    ]
    assert stale == []


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ('raise Transient(f"{host} is {how}.")', "{} is {}."),
        ('put_back(connection, claim, now, now, "not yet there")', "not yet there"),
        ('x = {"detail": f"in place of {row.channel}: {why}"}', "in place of {}: {}"),
        ('S = {1: "{host} is gone."}', "{} is gone."),
        ('raise StoreFull("Full: run this --now")', "Full: run this --now"),
        ('Receipt(detail=f"It is taken.{words}")', "It is taken."),
        ('W = {1: "is bad"}\ndef f():\n    why = W[1]\n    return f"It {why}."', "is bad"),
        ('def f():\n    how = "in time" if a else "at all"\n    return f"It is {how}."', "at all"),
    ],
)
def test_a_sentence_is_found_however_it_is_written(source: str, sentence: str) -> None:
    visitor = Sentences()
    visitor.visit(ast.parse(source))
    assert sentence in [said for _, said in visitor.found]


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring ends with a stop."""',
        'log.info("lane stumbled badly.", reason="it is so.")',
        'Field("", description="Where it is reached.")',
        'Permanent("", reply="curl said this.")',
        'W = re.compile("[a-z] and [0-9].")',
        '@routes.get("/x", summary="What it is.")\ndef f(): ...',
    ],
)
def test_what_only_log_and_schema_say_is_left_out(source: str) -> None:
    visitor = Sentences()
    visitor.visit(ast.parse(source))
    assert visitor.found == []
