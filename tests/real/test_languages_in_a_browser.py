"""The page in each language, judged by a real browser, axe and html-validate: also from right to left, half translated.

The drawings are kept in artefacts/pages/.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from broadcaster import locale
from broadcaster.locale import residents
from broadcaster.testing.boards import board, context, planned_cut, power_cut, water_leak
from channels.page.settings import PageSettings
from channels.page.site import pages

TAGS = ("sv", "sv-simple", "nb", "nn", "en", "ar")
ARTEFACTS = Path(__file__).parents[2] / "artefacts" / "pages"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
# The stylesheet keeps phone numbers whole; hyphens that cannot be dialled would break copying them.
RULES = {"tel-non-breaking": ["error", {"ignoreClasses": ["nobr"]}]}
ARABIC = {
    "Power cut": "انقطاع الكهرباء",
    "{hazard} in {place}": "{hazard} في {place}",
    "by {time}": "قبل {time}",
    "Next word": "التحديث القادم",
    "Updated {moment}": "آخر تحديث {moment}",
    "Most have power": "عودة الكهرباء لمعظم السكان",
    "even if nothing is new": "حتى لو لم يكن هناك جديد",
    "Where": "أين",
    "Why": "لماذا",
    "What to do": "ماذا تفعل",
    "Ongoing since {moment}": "مستمر منذ {moment}",
    "Questions or errors: {phone}": "للأسئلة أو الأخطاء: {phone}",
    "Archive": "الأرشيف",
}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Every page about three incidents in six languages, one of them dropped in and far from whole."""
    root = tmp_path / "locale"
    shutil.copytree(Path(locale.__file__).parent, root)
    (root / "ar").mkdir()
    said = [f'msgid "{english}"\nmsgstr "{arabic}"\n' for english, arabic in ARABIC.items()]
    (root / "ar" / "page.po").write_text("\n".join(said), encoding="utf-8")
    monkeypatch.setattr(locale, "_ROOT", root)
    known = {tag: residents(tag, "sv") for tag in TAGS}
    usual = context()
    many = context(
        organisation=type(usual.organisation)(
            "Ekbyns Energi", "SE", TAGS, "Europe/Stockholm", "0123-456 78"
        ),
        phrases={tag: one.phrases for tag, one in known.items()},
        foreign={tag: one.foreign for tag, one in known.items()},
    )
    shown = board(power_cut(cause="A cable was dug into"), water_leak(), planned_cut())
    return {file.path: file.body for file in pages(shown, many, PageSettings(kind="page"))}


def folder(tag: str) -> str:
    return "" if tag == TAGS[0] else f"{tag}/"


@pytest.mark.real("chromium", "axe-core")
def test_axe_finds_nothing_in_any_language(
    files: dict[str, bytes], chromium_path: Path, axe_path: Path, tmp_path: Path
) -> None:
    axe, wrong = axe_path.read_text(), []
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        page = browser.new_page()
        for tag in TAGS:
            for place in ("index.html", "incidents/a7/index.html", "areas/index.html"):
                shown = tmp_path / "page.html"
                shown.write_bytes(files[folder(tag) + place])
                page.goto(shown.as_uri())
                for width in (320, 1280):
                    page.set_viewport_size({"width": width, "height": 900})
                    if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
                        wrong.append(f"{tag} {place}: wider than {width}")
                page.evaluate(f"window.axe || (() => {{ {axe} }})()")
                found = page.evaluate("axe.run()")["violations"]
                wrong += [f"{tag} {v['id']}: {n['html'][:200]}" for v in found for n in v["nodes"]]
            shown.write_bytes(files[f"{folder(tag)}incidents/a7/index.html"])
            page.set_viewport_size({"width": 360, "height": 740})
            page.goto(shown.as_uri())
            page.screenshot(path=ARTEFACTS / f"language.{tag}.360.png", full_page=True)
        browser.close()
    assert wrong == []


@pytest.mark.slow
@pytest.mark.real("html-validate")
def test_html_validate_finds_nothing_in_any_language(
    files: dict[str, bytes], html_validate_path: Path, tmp_path: Path
) -> None:
    for path, body in files.items():
        place = tmp_path / "site" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(body)
    settings = tmp_path / "rules.json"
    rules = {"root": True, "extends": ["html-validate:recommended"], "rules": RULES}
    settings.write_text(json.dumps(rules))
    told = tmp_path / "told.json"  # of a pipe it would leave its last words unsaid
    options = ["--config", str(settings), "--formatter", "json", str(tmp_path / "site")]
    with told.open("wb") as out:
        run = subprocess.run(
            [html_validate_path, *options],
            stdout=out, stderr=subprocess.PIPE, text=True, timeout=100, check=False,
        )  # fmt: skip
    found = [
        f"{file['filePath']}:{m['line']} {m['ruleId']}: {m['message']}"
        for file in json.loads(told.read_bytes())
        for m in file["messages"]
    ]
    assert found == []
    assert run.returncode == 0, run.stderr
