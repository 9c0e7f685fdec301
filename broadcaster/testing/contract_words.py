"""What every post adapter promises about words, those it says and those it is refused with; a part of `PostContract`."""

from __future__ import annotations

from typing import ClassVar

from broadcaster.channel import PostAdapter, Text
from broadcaster.testing.notices import attempt, message, notice
from broadcaster.testing.servers import FarEnd, Fault, answers

ODD = 'Å ä ö É é: "ddiogel" – 5 < 6 & 7 > 2, <b>nej</b>… ’så’ 100 % 👩‍🚒 á č ŋ'
"""What is put right, cut or taken for markup where somebody means well."""


class InWords:
    """`tried`, `far` and `effect` are the suite's."""

    effect: ClassVar[str]

    def shown(self, text: Text) -> str:
        """What of a rendered text the far end shows; override it where that is not the body."""
        return text.body

    def test_what_arrives_is_letter_for_letter_what_was_rendered(
        self, tried: PostAdapter, far: FarEnd
    ) -> None:
        """Nothing is put right, translated or cut after it was previewed."""
        said = notice(text=ODD, facts={"incident": "A7", "update": 1, "text": ODD})
        texts = tried.render(said, {}).texts
        for place, text in enumerate(texts):
            rendered = {"subject": text.subject, "body": text.body, "payload": text.payload}
            tried.post(message(key=f"msg_{place}", **rendered), attempt())
        assert far.texts(self.effect) == [self.shown(text) for text in texts]
        assert any("ddiogel" in text.body + text.payload for text in texts)
        assert any("Å ä ö É é" in text.body + text.payload for text in texts)

    def refusal(self, status: int) -> Fault:
        """A refusal of this far end's own; override it where those have a form by which they are known."""
        return answers(status, "no")

    def test_a_link_is_never_cut(self, tried: PostAdapter) -> None:
        """However long the words are: it stands whole in one of the texts, or all of it is refused."""
        for count in range(1, 400, 7):
            said = notice(text="besked " * count, facts={"text": "besked " * count})
            try:
                texts = tried.render(said, {}).texts
            except ValueError:
                return
            assert any(said.link in text.body or said.link in text.payload for text in texts)

    def test_what_never_came_is_named(self, tried: PostAdapter) -> None:
        """A reader who was out of reach for a while; where a text is no such reader's, override it and say why."""
        rendered = tried.render(notice(missed="Tidigare besked som inte nådde hit: 09.20"), {})
        assert "09.20" in " ".join(text.body + text.payload for text in rendered.texts)
