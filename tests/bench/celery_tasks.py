"""A task per recipient, as most teams would build it: read the row, post the text, write the outcome, commit.

Runs in the peers' environment: `celery -A celery_tasks worker`, and `python celery_tasks.py COUNT` to enqueue.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

import psycopg
import requests
from celery import Celery  # type: ignore[import-not-found,unused-ignore] # in the peers' environment

app = Celery("bench", broker=os.environ["BENCH_BROKER"])
app.conf.task_ignore_result = True
app.conf.task_acks_late = True  # a killed worker's task must not be lost: ours are not, either
_own = threading.local()


def _connections() -> tuple[Any, requests.Session]:
    if not hasattr(_own, "database"):
        _own.database = psycopg.connect(os.environ["BENCH_DATABASE"])
        _own.session = requests.Session()
        _own.session.trust_env = False
    return _own.database, _own.session


@app.task(name="send")  # type: ignore[untyped-decorator,unused-ignore] # it has no types
def send(recipient: int) -> None:
    """Write to one recipient."""
    database, session = _connections()
    row = database.execute("SELECT address FROM recipient WHERE id = %s", (recipient,)).fetchone()
    body = {"to": row[0], "text": os.environ["BENCH_TEXT"], "ref": f"c.{recipient}"}
    answer = session.post(os.environ["BENCH_SINK"], json=body, timeout=30)
    database.execute(
        "INSERT INTO outcome (recipient, status) VALUES (%s, %s)", (recipient, answer.status_code)
    )
    database.commit()


def enqueue(count: int) -> float:
    """Enqueue a task for each recipient; seconds it took."""
    begun = time.monotonic()
    with app.producer_pool.acquire() as producer:
        for recipient in range(1, count + 1):
            send.apply_async((recipient,), producer=producer)
    return time.monotonic() - begun


if __name__ == "__main__":
    print(enqueue(int(sys.argv[1])))
