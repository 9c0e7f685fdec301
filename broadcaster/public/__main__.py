"""`python -m broadcaster.public`: run the public server until SIGTERM."""

import argparse
from pathlib import Path

from broadcaster.public.server import HEADER_TIMEOUT, SEND_TIMEOUT, serve


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(
        prog="python -m broadcaster.public",
        description="Serve the public page and feeds from a directory of published files.",
    )
    parser.add_argument("--directory", type=Path, required=True, help="the public directory")
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument(
        "--https",
        action="store_true",
        help="residents reach this server by https only (a proxy in front): send HSTS",
    )
    parser.add_argument(
        "--header-timeout",
        type=float,
        default=HEADER_TIMEOUT,
        metavar="SECONDS",
        help="close a connection whose request headers take longer (default %(default)s, most 60)",
    )
    parser.add_argument(
        "--send-timeout",
        type=float,
        default=SEND_TIMEOUT,
        metavar="SECONDS",
        help="end the connection of a reader that takes nothing for so long (default %(default)s)",
    )
    parser.add_argument(
        "--log-format",
        choices=["console", "json"],
        default="console",
        help="lines for people, or one JSON object a line",
    )
    given = parser.parse_args()
    try:
        serve(
            given.directory,
            given.listen,
            https=given.https,
            header_timeout=given.header_timeout,
            send_timeout=given.send_timeout,
            log_format=given.log_format,
        )
    except (ValueError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
