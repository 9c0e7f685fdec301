"""What the public server says of itself: lines for people, or one JSON object a line as the daemon writes them."""

import json
import logging
from datetime import UTC, datetime
from typing import Any, Literal

Form = Literal["console", "json"]


class JsonLine(logging.Formatter):
    """One record as one line: `{"event", "level", "logger", "timestamp"}`, with `exception` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record; line breaks in it are escaped by the JSON."""
        said = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


def no_ordinary_cut(record: logging.LogRecord) -> bool:
    """Leave out what Granian warns of whenever a reader's connection is still open when it is told to end.

    A browser that has connected in advance, or reads slowly, is cut off after a few seconds. That is how every stop
    goes, and nothing that anybody could mend.
    """
    said = record.getMessage() if record.name == "_granian" else ""
    return not (said.startswith("Killing worker-") and said.endswith("to gracefully stop"))


def configuration(form: Form) -> dict[str, Any]:
    """For `logging.config.dictConfig`, in our process and in Granian's workers; all of it to stderr."""
    lines = {
        "console": {"format": "%(asctime)s %(levelname)s %(message)s"},
        "json": {"()": JsonLine},
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"no_ordinary_cut": {"()": lambda: no_ordinary_cut}},
        "formatters": {"line": lines[form]},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                "stream": "ext://sys.stderr",
                "filters": ["no_ordinary_cut"],
            }
        },
        "root": {"handlers": ["stderr"], "level": "INFO"},
        # Granian's own: its handlers would write lines of another form to stdout.
        "loggers": {
            "_granian": {"handlers": [], "propagate": True},
            "granian.access": {"handlers": [], "propagate": True},
        },
    }
