"""Calls out over HTTP for adapters that make one call at a time.

One call has one total deadline, from looking up the name to the last byte of the body; the body is capped and never
decompressed; redirects are refused; TLS is verified; nothing is read from the environment's proxy settings; no
exception carries a secret. What went wrong is raised as `Transient`, `Permanent` or `Uncertain` of `broadcaster.channel`.
Bulk letters go by `broadcaster.bulkhttp`. An adapter that speaks another protocol than HTTP gets its connection from
`connect`, within the same walls and deadline.

What the deadline does not bound: a name look-up left behind goes on in its own thread until the system's resolver gives
up, and a thread that is not scheduled cannot look at its clock.
"""

from __future__ import annotations

from broadcaster.httpclient.address import (
    HeaderSecret,
    WebAddress,
    WebHeaders,
    host_in,
    web_address,
)
from broadcaster.httpclient.answer import (
    BODY_CAP,
    Answer,
    failure_of,
    parse_json,
    printable,
    retry_after,
    seconds_until,
)
from broadcaster.httpclient.caller import Caller, guard_session
from broadcaster.httpclient.calling_off import called_off, given_up
from broadcaster.httpclient.certificate import Certificate, look_at_certificate, told_of
from broadcaster.httpclient.deadline import Deadline, within
from broadcaster.httpclient.egress import Reach, connect, guard_address, is_public
from broadcaster.httpclient.redaction import Redaction
from broadcaster.httpclient.transport import Transport, answer_of, host_of
from broadcaster.httpclient.trust import untrusted, verified_context

__all__ = [
    "BODY_CAP",
    "Answer",
    "Caller",
    "Certificate",
    "Deadline",
    "HeaderSecret",
    "Reach",
    "Redaction",
    "Transport",
    "WebAddress",
    "WebHeaders",
    "answer_of",
    "called_off",
    "connect",
    "failure_of",
    "given_up",
    "guard_address",
    "guard_session",
    "host_in",
    "host_of",
    "is_public",
    "look_at_certificate",
    "parse_json",
    "printable",
    "retry_after",
    "seconds_until",
    "told_of",
    "untrusted",
    "verified_context",
    "web_address",
    "within",
]
