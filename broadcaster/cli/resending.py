"""resend: once more where it failed or is in doubt, and what of an update there is to be sent again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from typer import Option, Typer

from broadcaster.cli.asking import need_yes
from broadcaster.cli.ending import Code, End
from broadcaster.cli.opening import Talk, asking_of, named, now
from broadcaster.cli.options import Manner, UpdateName, grouped
from broadcaster.cli.saying import out, out_json
from broadcaster.cli.sending import begin
from broadcaster.cli.table import letters_left, standing, state_word, through
from broadcaster.cli.watching import Look, View, looking_at, on_terminal, show, view_of, watch
from broadcaster.domain.delivery import may_go_again

Delivery = Mapping[str, Any]


@grouped
def resend(
    name: UpdateName,
    manner: Manner,
    channel: Annotated[str, Option("--channel", metavar="NAME", help="Where it failed.")],
) -> None:
    """Send an update once more by one channel, where it failed or is in doubt.

    Of letters only those go again: who has it already gets nothing.
    """
    talk = begin(manner)
    incident, number = named(talk, name)
    for chosen in _all_chosen(talk, incident, number, channel):
        _send_again(talk, incident, chosen, manner)


def _send_again(talk: Talk, incident: str, chosen: Delivery, manner: Manner) -> None:
    said = f"{incident}-{chosen['update']}"
    if chosen.get("counts"):
        need_yes(talk.voice, _question(talk, said, chosen), yes=manner.yes)
    with asking_of(talk) as client:
        answer = client.post("deliveries", str(chosen["id"]), "resend")
    _ = talk.voice.say
    told = _("{name} is sent once more by {channel}.", name=said, channel=chosen["channel"])
    if manner.wait is None:
        talk.answer(answer, told)
        return
    if not manner.as_json:
        talk.answer(answer, told)
    _await(talk, incident, answer, manner.wait)


def _all_chosen(talk: Talk, incident: str, number: int | None, written: str) -> list[Delivery]:
    """What is meant by a channel, or by the name of a block: there, of all its channels those that can be sent again.

    Raises:
        End: there is none.
    """
    found, refused = [], None
    for channel in talk.channel_names(written):
        try:
            found.append(_chosen(talk, incident, number, channel))
        except End as end:
            refused = end
    if refused is not None and not found:
        raise refused
    return found


def _chosen(talk: Talk, incident: str, number: int | None, channel: str) -> Delivery:
    """The delivery that is meant: of the newest update, unless one is named.

    Raises:
        End: there is none, or nothing of it failed or is in doubt.
    """
    _ = talk.voice.say
    with asking_of(talk) as client:
        found = client.get("incidents", incident, "deliveries")["items"]
        mine = [
            delivery
            for delivery in found
            if delivery["channel"] == channel and number in (None, delivery.get("update"))
        ]
        if not mine and number and number > client.get("incidents", incident)["update"]:
            sentence = _(
                "There is no update {incident}-{number}.", incident=incident, number=number
            )
            raise End(Code.REFUSED, sentence)
    if not mine:
        said = incident if number is None else f"{incident}-{number}"
        raise End(Code.REFUSED, _not_by(talk, said, channel))
    chosen: Delivery = max(mine, key=lambda one: (one.get("update") or 0, _may_go_again(one)))
    if not _may_go_again(chosen):
        sentence = _(
            "{channel} is {state}: only what failed or is uncertain can be sent again.",
            channel=channel,
            state=state_word(talk.voice, str(chosen["state"])),
        )
        raise End(Code.REFUSED, sentence)
    return chosen


def _may_go_again(delivery: Delivery) -> bool:
    failed, uncertain = letters_left(delivery)
    return may_go_again(str(delivery["state"]), failed, uncertain)


def _not_by(talk: Talk, name: str, channel: str) -> str:
    """That it did not go out by this channel, or that there is no such channel."""
    _ = talk.voice.say
    known = [str(one["name"]) for one in talk.organisation.get("channels", ())]
    if channel in known:
        return _("{name} did not go out by {channel}.", name=name, channel=channel)
    return _(
        'There is no channel "{channel}". There are {channels}. Nothing was sent.',
        channel=channel,
        channels=", ".join(known),
    )


def _question(talk: Talk, name: str, delivery: Delivery) -> str:
    """How many letters go again, and what that means for who reads them."""
    _, number = talk.voice.say, talk.voice.number
    failed, uncertain = letters_left(delivery)
    which = {
        "name": name,
        "channel": delivery["channel"],
        "total": number(delivery["counts"]["total"]),
        "failed": number(failed),
        "uncertain": number(uncertain),
    }
    if not uncertain:
        return _(
            "{failed} of {total} letters of {name} by {channel} failed. Send these again?", **which
        )
    if not failed:
        return _(
            "{uncertain} of {total} letters of {name} by {channel} may or may not have gone: some readers may get it "
            "twice. Send these again?",
            **which,
        )
    return _(
        "{uncertain} of {total} letters of {name} by {channel} may or may not have gone: some readers may get it "
        "twice. {failed} failed. Send these again?",
        **which,
    )


def _await(talk: Talk, incident: str, delivery: Delivery, seconds: float) -> None:
    """Look until all of it is through.

    Raises:
        End: it was not in time (code 5).
    """
    _ = talk.voice.say
    began = now().isoformat()
    every = looking_at(talk, incident, int(delivery["update"]), began)

    def look() -> View | None:
        view = every()
        if view is None:
            return None
        mine = [one for one in view.deliveries if one["id"] == delivery["id"]]
        return view_of(talk, mine, began)

    looks: Look = look
    drawn = on_terminal() and not talk.as_json
    view = watch(looks, view_of(talk, [delivery], began), talk, seconds=seconds, draw=drawn)
    said = f"{incident}-{delivery['update']}"
    if talk.as_json:
        out_json(view.deliveries[0])
    else:
        if not drawn:
            show(view)
        # The answer is about the update, also where another channel lacks it.
        whole = every() or view
        out(standing(whole.deliveries, talk.voice))
        for sentence in what_is_left(talk, incident, whole.deliveries):
            out(sentence)
    if not through(view.deliveries):
        sentence = _(
            "{name} is sent once more by {channel}, but not all of it went out in time.",
            name=said,
            channel=delivery["channel"],
        )
        raise End(Code.NOT_EVERYWHERE, sentence)


def what_is_left(talk: Talk, incident: str, deliveries: Sequence[Delivery]) -> list[str]:
    """What the daemon advises where letters failed or are in doubt; nothing where it does not answer now."""
    if not any(map(any, map(letters_left, deliveries))):
        return []
    try:
        with asking_of(talk) as client:
            return [str(one) for one in client.get("incidents", incident).get("advice") or ()]
    except End:
        return []  # what was asked for is done; `status` says this as well


def add_to(app: Typer) -> None:
    """Put the verb of this file on the command line."""
    app.command()(resend)
