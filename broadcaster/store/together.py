"""Statements that go to PostgreSQL together: one whose result nobody looks at waits for the next that somebody does.

An accepted word takes some thirty statements. One after the other each costs a way there and back, which is what a word
takes where the database is far away. In psycopg's pipeline mode a statement is sent without waiting for the one before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Executable, event
from sqlalchemy.exc import OperationalError

E = TypeVar("E", bound=Executable)
_PIPELINE = "pipeline"
_LATER = "later"


def later(statement: E) -> E:
    """Mark a statement whose result nobody looks at; on SQLite, and outside of `together`, that means nothing.

    An INSERT must be `inline()`: SQLAlchemy would look at its key.
    """
    marked: E = statement.execution_options(**{_LATER: True})
    return marked


def listen(engine: Engine) -> None:
    """Prepare an engine of PostgreSQL for `together`."""

    def send(run: str, cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        pipeline = context.execution_options.get(_PIPELINE)
        if pipeline is None:
            return False
        getattr(cursor, run)(statement, parameters)
        if _LATER not in context.execution_options:
            pipeline.sync()
        return True

    @event.listens_for(engine, "do_execute")
    def _one(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        return send("execute", cursor, statement, parameters, context)

    @event.listens_for(engine, "do_executemany")
    def _many(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        return send("executemany", cursor, statement, parameters, context)


@contextmanager
def together(connection: Connection) -> Iterator[None]:
    """While entered, what is marked `later` is sent with the next statement that is not, at the latest at the end.

    An error of such a statement is raised by that next one, or here.

    Raises:
        OperationalError: the last of them failed.
    """
    driver: Any = connection.connection.driver_connection
    try:
        with driver.pipeline() as pipeline:
            connection.execution_options(**{_PIPELINE: pipeline})
            try:
                yield
            finally:
                connection.execution_options(**{_PIPELINE: None})
    except connection.dialect.loaded_dbapi.Error as error:
        if driver.closed:
            connection.invalidate()
        raise OperationalError(
            "what was sent last", None, error, connection_invalidated=driver.closed
        ) from error
