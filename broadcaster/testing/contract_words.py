"""What every post adapter promises about words, those it says and those it is refused with; a part of `PostContract`."""

from __future__ import annotations

from broadcaster.channel import PostAdapter
from broadcaster.testing.notices import notice
from broadcaster.testing.servers import Fault, answers


class InWords:
    """`tried` is the suite's."""

    def refusal(self, status: int) -> Fault:
        """A refusal of this far end's own; override it where those have a form by which they are known."""
        return answers(status, "no")

    def test_what_never_came_is_named(self, tried: PostAdapter) -> None:
        """A reader who was out of reach for a while; where a text is no such reader's, override it and say why."""
        rendered = tried.render(notice(missed="Tidigare besked som inte nådde hit: 09.20"), {})
        assert "09.20" in " ".join(text.body + text.payload for text in rendered.texts)
