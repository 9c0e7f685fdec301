"""Real S3-compatible storage on this machine: s3rver, and moto, which checks signatures and knows conditional writes."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import botocore.session
from moto.server import ThreadedMotoServer

from broadcaster.testing.peers import PEERS
from broadcaster.testing.ports import free_port
from broadcaster.testing.programs import FarProgram

BUCKET = "ekbyn-copy"
ACCESS_KEY = SECRET_KEY = "S3RVER"  # noqa: S105 - what s3rver takes, and nothing else
"""They open nothing but this."""


def block(url: str, **changes: Any) -> dict[str, Any]:
    """A bucket at `url` as a channel's settings have it."""
    return {
        "place": "s3",
        "bucket": f"{url}/{BUCKET}",
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
        **changes,
    }


class S3rver(FarProgram):
    """`with S3rver() as storage:` an empty bucket at `storage.url`; it keeps files below `storage.folder`."""

    port: int

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """It takes all that it is told as arguments."""
        self.port = free_port()

    def begin(self) -> None:
        """Run it with the one bucket."""
        program = PEERS["s3rver"].path("s3rver")
        arguments = ("-d", str(self.folder), "-a", "127.0.0.1", "-p", str(self.port))
        bucket = ("--configure-bucket", BUCKET, "--no-vhost-buckets")
        quiet = {**os.environ, "NODE_NO_WARNINGS": "1"}
        server = self.run(program, *arguments, *bucket, chatty=True, environment=quiet)
        server.wait_for(b"S3rver listening")


@contextmanager
def moto() -> Iterator[str]:
    """The address of moto with an empty bucket that everybody may read and write."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    try:
        _client("s3", url).create_bucket(Bucket=BUCKET, ACL="public-read")
        yield url
    finally:
        _check_signatures(url, after="inf")
        server.stop()


@contextmanager
def checking_moto(*actions: str) -> Iterator[dict[str, Any]]:
    """A bucket as a channel's settings have it, of a moto that checks signatures and lets nobody in but one key.

    The key may do `actions`, such as ``s3:GetObject``. What moto holds can be read after `unchecked`.
    """
    with moto() as url:
        iam = _client("iam", url)
        iam.create_user(UserName="broadcaster")
        allowed = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_user_policy(UserName="broadcaster", PolicyName="copy", PolicyDocument=policy)
        made = iam.create_access_key(UserName="broadcaster")["AccessKey"]
        _check_signatures(url, after="0")
        yield block(url, access_key=made["AccessKeyId"], secret_key=made["SecretAccessKey"])
        _check_signatures(url, after="inf")
        iam.delete_access_key(UserName="broadcaster", AccessKeyId=made["AccessKeyId"])
        iam.delete_user_policy(UserName="broadcaster", PolicyName="copy")
        iam.delete_user(UserName="broadcaster")


def _client(service: str, url: str) -> Any:
    keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
    session = botocore.session.get_session()
    return session.create_client(service, region_name="us-east-1", endpoint_url=url, **keys)


def _check_signatures(url: str, after: str) -> None:
    """Let moto check every request after so many more."""
    address = f"{url}/moto-api/reset-auth"
    as_text = {"Content-Type": "text/plain"}
    request = urllib.request.Request(address, after.encode(), as_text)  # noqa: S310 - our own loopback server
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - as above
