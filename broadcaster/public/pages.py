"""The pages for what is not a published file: plain, calm, Swedish first, then English."""

from functools import cache
from html import escape
from http import HTTPStatus

_SENTENCES = {
    HTTPStatus.MOVED_PERMANENTLY: (
        ("Sidan har en annan adress", "Du skickas vidare dit."),
        ("This page has another address", "You are being sent there."),
    ),
    HTTPStatus.PERMANENT_REDIRECT: (
        ("Sidan har en annan adress", "Du skickas vidare dit."),
        ("This page has another address", "You are being sent there."),
    ),
    HTTPStatus.SEE_OTHER: (
        ("Svaret står på en annan sida", "Du skickas vidare dit."),
        ("The answer is on another page", "You are being sent there."),
    ),
    HTTPStatus.REQUEST_TIMEOUT: (
        ("Frågan kom inte fram i tid", "Försök igen."),
        ("The question did not arrive in time", "Please try again."),
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
        ("Frågan är för lång", "Skriv bara platsens namn eller postnumret."),
        ("The question is too long", "Write only the name of the place, or the postcode."),
    ),
    HTTPStatus.BAD_REQUEST: (
        ("Adressen går inte att läsa", "Kontrollera adressen eller gå till startsidan."),
        ("The address cannot be read", "Check the address or go to the start page."),
    ),
    HTTPStatus.NOT_FOUND: (
        ("Sidan finns inte", "Kontrollera adressen. Det aktuella läget står på startsidan."),
        ("There is no such page", "Check the address. The current state is on the start page."),
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        ("Här går det bara att läsa", "Sidan tar inte emot uppgifter. Gå till startsidan."),
        ("This page can only be read", "It takes no input. Go to the start page."),
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: (
        ("Sidan kan inte visas just nu", "Vi försöker igen av oss själva. Ladda om strax."),
        ("The page cannot be shown right now", "We are retrying. Please reload in a moment."),
    ),
}

_PAGE = """<!DOCTYPE html>
<html lang="sv">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title}</title>
<style>:root{{color-scheme:light dark}}body{{font:1.0625rem/1.5 system-ui,sans-serif;\
max-width:36rem;margin:3rem auto;padding:0 1rem}}h1,h2{{font-size:1.3rem}}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{text}</p>
<p><a href="/">Till startsidan</a></p>
<section lang="en">
<h2>{english_title}</h2>
<p>{english_text}</p>
<p><a href="/">To the start page</a></p>
</section>
</main>
</body>
</html>
"""


@cache
def error_page(status: HTTPStatus) -> bytes:
    """Return the page for one of the statuses above; it repeats nothing of the request."""
    (title, text), (english_title, english_text) = _SENTENCES[status]
    return _PAGE.format(
        title=escape(title),
        text=escape(text),
        english_title=escape(english_title),
        english_text=escape(english_text),
    ).encode()
