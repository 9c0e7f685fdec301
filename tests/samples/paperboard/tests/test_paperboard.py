"""The promises of every post channel, tried on this one against a stand-in of the printing service."""

from __future__ import annotations

from paperboard import PaperboardAdapter  # type: ignore[import-not-found]  # a package of its own

from broadcaster.channel import CanProbe, ChannelContext, PostAdapter
from broadcaster.testing.contract import PostContract
from broadcaster.testing.notices import attempt, context
from broadcaster.testing.servers import FarEnd, Reply, Request
from broadcaster.testing.servers.exchange import json_reply

TOKEN = "paper-token-0007"


class PrintingService(FarEnd):
    """Prints a sheet once for each id, as its document says."""

    name = "printing service"
    paper = 500

    def answer(self, request: Request) -> Reply:
        if request.bearer() != TOKEN:
            return json_reply({"error": "who are you?"}, 401)
        if request.path == "/paper":
            return json_reply({"left": self.paper})
        sheet = request.json()
        if not any(effect.id == sheet["id"] for effect in self.effects):
            self.effect("sheet", sheet["id"], sheet["text"])
        return json_reply({"sheet": sheet["id"]}, 201)


class TestPaperboard(PostContract):
    effect = "sheet"
    secrets = (TOKEN,)

    def far_end(self) -> FarEnd:
        return PrintingService()

    def adapter(self, url: str, context: ChannelContext) -> PostAdapter:
        written = {"kind": "paperboard", "url": url, "token": TOKEN}
        settings = PaperboardAdapter.Settings.model_validate(written)
        adapter: PostAdapter = PaperboardAdapter(settings, context)
        return adapter


def test_an_empty_printer_is_not_good() -> None:
    with PrintingService() as far:
        far.paper = 0
        adapter = TestPaperboard().adapter(far.url, context())
        assert isinstance(adapter, CanProbe)
        assert adapter.probe(attempt()).sentence == "Put paper in the printer."
        adapter.close()
