"""A hub and a subscriber of flask-websub on one port of this machine, for the tests: python hub.py PORT FOLDER.

POST /follow?url=…&secret=… has the subscriber discover the feed's hub and ask it to be told; GET /received lists what it
was told whose signature is right, and POST /stopped makes the hub refuse everybody until it is posted again.
"""

import base64
import sys
from uuid import uuid4

from celery import Celery
from flask import Flask, Response, abort, jsonify, request
from flask_websub.hub import Hub, SQLite3HubStorage
from flask_websub.subscriber import (
    SQLite3SubscriberStorage,
    SQLite3TempSubscriberStorage,
    Subscriber,
    discover,
)
from werkzeug.serving import make_server

port, folder = int(sys.argv[1]), sys.argv[2]
app = Flask(__name__)
app.config.update(PUBLISH_SUPPORTED=True, SERVER_NAME=f"127.0.0.1:{port}")
celery = Celery(task_always_eager=True)
hub = Hub(SQLite3HubStorage(f"{folder}/hub.db"), celery, SIGNATURE_ALGORITHM="sha256")
app.register_blueprint(hub.build_blueprint(url_prefix="/hub"))
subscriber = Subscriber(
    SQLite3SubscriberStorage(f"{folder}/subscriber.db"),
    SQLite3TempSubscriberStorage(f"{folder}/asked.db"),
)
app.register_blueprint(subscriber.build_blueprint(url_prefix="/told"))
received: list[dict[str, str]] = []
asked: list[dict[str, list[str]]] = []
refused: list[bool] = []


@subscriber.add_listener
def keep(topic: str, _callback: str, body: bytes) -> None:
    received.append({"topic": topic, "body": base64.b64encode(body).decode()})


@app.before_request
def look() -> None:
    if request.path == "/hub":
        asked.append(request.form.to_dict(flat=False))
        if refused:
            abort(503)


@app.post("/follow")
def follow() -> Response:
    # What discovery finds is asked for as `Subscriber.subscribe` does, which sends a secret over https only.
    found, name = discover(request.args["url"]), str(uuid4())
    wanted = {"mode": "subscribe", "secret": request.args["secret"], "lease_seconds": None}
    subscriber.temp_storage[name] = {**wanted, **found, "timeout": 600}
    form = {"hub.mode": "subscribe", "hub.topic": found["topic_url"]}
    form |= {"hub.callback": f"http://127.0.0.1:{port}/told/{name}", "hub.secret": wanted["secret"]}
    answer = subscriber.safe_post_request(found["hub_url"], data=form)
    return jsonify(found | {"status": answer.status_code, "known": name in stored()})


def stored() -> list[str]:
    with subscriber.storage.connection() as connection:
        return [row[0] for row in connection.execute("select callback_id from subscriber")]


@app.get("/received")
def told() -> Response:
    return jsonify({"received": received, "asked": asked})


@app.post("/stopped")
def stopped() -> str:
    refused[:] = [] if refused else [True]
    return ""


server = make_server("127.0.0.1", port, app, threaded=True)
print("hub: listening", file=sys.stderr, flush=True)
server.serve_forever()
