"""init, serve, public, sandbox, config check|schema: what runs on this machine and needs no daemon."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from broadcaster.cli.ending import Code, End
from broadcaster.cli.finding import NAME, local_configuration
from broadcaster.cli.language import own_voice
from broadcaster.cli.options import Config, Json
from broadcaster.cli.saying import Voice, note, out, out_json
from broadcaster.cli.usage import Commands
from broadcaster.settings.language import written_language

PUBLIC_DIRECTORY = "var/public"
PUBLIC_LISTEN = "127.0.0.1:8080"


def init(
    directory: Annotated[Path, Argument(metavar="DIR", help="Where the configuration will stand.")],
    lang: Annotated[
        str,
        Option(
            "--lang",
            metavar="LANG",
            help="The first language of the organisation: sv, nb, nn or en. Commands speak Swedish or English.",
        ),
    ] = "sv",
    as_json: Json = False,
) -> None:
    """Write a configuration, a key and the first token."""
    from broadcaster import daemon

    languages = _languages_from(lang)
    voice = Voice(lang)
    _ = voice.say
    with local_act(voice):
        config = Path(daemon.init(directory, languages))
    token = config.parent / "admin.token"
    if as_json:
        out_json({"config": str(config), "token": str(token)})
        return
    out(_("Written: {config}", config=config))
    out(_("Your token is in {token}; keep it as you keep a key.", token=token))
    out(_("Next: look through {config}, then: broadcaster serve --config {config}", config=config))


def _languages_from(first: str) -> tuple[str, ...]:
    """The languages of a new organisation: `first`, and those that its residents read beside it.

    Raises:
        End: we do not speak that one (code 2).
    """
    from broadcaster.locale import languages
    from broadcaster.settings.errors import told

    if first not in languages():
        sentence = f'"{first}" has no catalogue of phrases: write one of {", ".join(languages())}'
        raise End(Code.USAGE, f"--lang: {told(own_voice().language, sentence)}")
    beside = {"nb": ("nn", "en"), "nn": ("nb", "en"), "en": ("sv",)}.get(first, ("en",))
    return (first, *beside)


def serve(config: Config = None) -> None:
    """Run the daemon until it is stopped."""
    from broadcaster import daemon

    path = configuration(config)
    sys.exit(daemon.serve(path, voice_of(path).language))


def public(
    config: Config = None,
    directory: Annotated[
        Path | None, Option("--directory", metavar="DIR", help="The published files.")
    ] = None,
    listen: Annotated[
        str | None, Option("--listen", metavar="HOST:PORT", help="Where residents connect.")
    ] = None,
) -> None:
    """Serve page and feeds to residents; needs no daemon."""
    https = False
    if directory is None or listen is None:
        path = configuration(config)
        written = _public_part(path)
        directory = directory or path.parent / str(written.get("directory", PUBLIC_DIRECTORY))
        listen = listen or str(written.get("listen", PUBLIC_LISTEN))
        https = str(written.get("url", "")).startswith("https://")
    if listen == "none":
        _ = own_voice().say
        sentence = _(
            "public.listen is none: another server shows the files. Or add --listen HOST:PORT"
        )
        raise End(Code.USAGE, sentence)
    from broadcaster.public import serve as serve_public

    try:
        serve_public(directory, listen, https=https)
    except ValueError as error:
        raise End(Code.USAGE, str(error)) from error
    except OSError as error:
        raise End(Code.UNEXPECTED, f"{listen}: {error.strerror or error}") from error


def sandbox(
    listen: Annotated[
        str, Option("--listen", metavar="HOST:PORT", help="Where the stand-ins answer.")
    ] = "127.0.0.1:8093",
    journal: Annotated[
        Path | None, Option("--journal", metavar="FILE", help="Keep what arrives, a line each.")
    ] = None,
) -> None:
    """Run stand-ins of gateways and microblogs, to try things out.

    SMS, Mastodon, X and webhooks; a page shows what people would have received. Any token, user and password is
    taken; the secret of a webhook must be whsec_YSBzdGFuZC1pbiBoYXMgbm8gc2VjcmV0cw==
    """
    from broadcaster.testing.sandbox import run

    host, _colon, port = listen.rpartition(":")
    if not host or not port.isdecimal():
        _ = own_voice().say
        raise End(Code.USAGE, _("--listen: write HOST:PORT, such as 127.0.0.1:8093"))
    try:
        run(host.strip("[]"), int(port), journal)
    except (OSError, OverflowError) as error:
        raise End(Code.UNEXPECTED, f"{listen}: {error}") from error


def check(
    config: Config = None,
    as_json: Json = False,
    file: Annotated[Path | None, Argument(metavar="FILE", help="The configuration.")] = None,
) -> None:
    """Say everything that is wrong with a configuration: file, line, place, and what to write instead."""
    from broadcaster.daemon import check_configuration

    path = configuration(file or config)
    voice = voice_of(path)
    _ = voice.say
    try:
        found = check_configuration(path)
    except OSError as error:
        raise End(Code.USAGE, f"{path}: {error.strerror}") from error
    errors = [one for one in found if not one.warning]
    if as_json:
        shown = ("line", "path", "sentence", "warning")
        lines = [
            {name: getattr(one, name) for name in shown} | {"file": str(one.file)} for one in found
        ]
        out_json({"errors": lines, "good": not errors})
    else:
        for one in found:
            out(one.told(voice.language))
    if errors:
        counted = _("1 error.") if len(errors) == 1 else _("{count} errors.", count=len(errors))
        running = _("The running daemon keeps its present configuration.")
        raise End(Code.USAGE, f"{counted} {running}")
    if not as_json:
        out(_("{file} can be used.", file=path))


def schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    from broadcaster.daemon import configuration_schema

    sys.stdout.write(json.dumps(configuration_schema(), indent=2, ensure_ascii=False) + "\n")


def configuration(config: Path | None) -> Path:
    """The configuration that is meant.

    Raises:
        End: there is none (code 2).
    """
    path = config or local_configuration()
    if path is None or not path.is_file():
        _ = own_voice().say
        sentence = _("There is no {file}. Make one: broadcaster init DIR", file=path or NAME)
        raise End(Code.USAGE, sentence)
    return path


def voice_of(config: Path) -> Voice:
    """The voice of a configuration's organisation; that of this command where it names no language."""
    language = written_language(config)
    return Voice(language) if language else own_voice()


@contextmanager
def local_act(voice: Voice) -> Iterator[None]:
    """An act on this machine's own files: whatever stops it has a sentence of its own.

    Raises:
        End: 2 for a bad configuration, 4 for anything else that stops it.
    """
    from broadcaster.settings import ConfigErrors
    from broadcaster.settings.errors import told
    from broadcaster.settings.starter import AlreadyThereError

    try:
        yield
    except End:
        raise
    except ConfigErrors as error:
        raise End(Code.USAGE, error.told(voice.language)) from error
    except AlreadyThereError as error:
        raise End(Code.REFUSED, told(voice.language, str(error))) from error
    except OSError as error:
        raise End(Code.UNEXPECTED, str(error)) from error
    except Exception as error:  # the store's errors have no name on this floor, but a sentence
        if os.environ.get("BROADCASTER_DEBUG"):
            raise
        raise End(Code.REFUSED, voice.retell(str(error))) from error


def _public_part(path: Path) -> dict[str, object]:
    """`public:` as written: this process needs no secret and stands when the rest is wrong."""
    from broadcaster.settings.source import read

    source = read(path)
    for error in source.errors:
        note(error.told(voice_of(path).language))
    written = source.document.get("public")
    return written if isinstance(written, dict) else {}


def add_to(app: Typer) -> None:
    """Put the verbs of this file on the command line."""
    app.command()(init)
    app.command()(serve)
    app.command()(public)
    app.command()(sandbox)
    config = Commands(help="Check the configuration.", no_args_is_help=True)
    config.command()(check)
    config.command()(schema)
    app.add_typer(config, name="config")
