"""Many small HTTP requests at once, on one thread: libcurl's multi interface behind a small one of our own.

Each request is put on the wire at most once. libcurl by itself sends a request again, a POST too, when a connection it
reused turns out to be dead; for a text message that may be the second one on the same phone. A callback just before
the request is sent forbids it, and the same callback tells what certainly has not gone from what may have gone.

Never followed: redirects, proxies and `.netrc` from the environment, other schemes than http and https. Always on:
certificate checks (TLS 1.2 or newer), a total deadline for each request, a cap on the answer's body as unpacked.
"""

from broadcaster.bulkhttp.client import BulkClient
from broadcaster.bulkhttp.exchange import Answer, Problem, Request

__all__ = ["Answer", "BulkClient", "Problem", "Request"]
