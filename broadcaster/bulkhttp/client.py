"""A window of open requests that is filled from an iterator."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import pycurl

from broadcaster.bulkhttp.call import Call, Limits
from broadcaster.bulkhttp.exchange import Answer, Problem, Request, T
from broadcaster.httpclient.calling_off import called_off, given_up

_POLL = 0.2  # seconds until a run that only waits looks again whether the client was closed
_PULL = 0.005  # seconds to pull requests before those that are open are looked after again

_Outcome = tuple[Request[T], Answer | Problem]


class BulkClient:
    """Keeps up to `window` requests open. Connections are kept from run to run.

    `deadline` and `connect_timeout` are seconds for one request, the first in all; `body_cap` is bytes; `rate` is
    requests a second, 0 for no limit. With `allowed_hosts` (drill and demo) only this machine and these host names
    are reached, None means any. `ca_file` replaces the system's certificate authorities. Several threads may each
    have a run of their own; they share the rate.

    `room` is how many calls may be open now, `window` at first; whoever judges the answers may make it smaller while
    the far side takes nothing.
    """

    def __init__(
        self,
        *,
        window: int = 32,
        deadline: float = 30.0,
        connect_timeout: float = 10.0,
        body_cap: int = 65_536,
        rate: float = 0.0,
        allowed_hosts: Collection[str] | None = None,
        ca_file: str = "",
    ) -> None:
        self.window = self.room = window
        self.deadline = deadline
        self.pace = _Pace(rate)
        self.limits = Limits(
            connect_timeout=connect_timeout,
            body_cap=body_cap,
            allowed_hosts=None if allowed_hosts is None else frozenset(allowed_hosts),
            ca_file=ca_file or ssl.get_default_verify_paths().cafile or "",
        )
        self._closed = threading.Event()
        self._idle: list[_Window] = []

    def run(
        self, requests: Iterable[Request[T]], *, deadline: float | None = None
    ) -> Iterator[_Outcome[T]]:
        """Pull requests as room becomes free, send each once, yield each with what came of it, in any order.

        While `requests` blocks, the open calls stand still, so let it block for milliseconds only. Closing this
        generator, or the client from any thread, breaks off what is open; a request that was pulled and never
        yielded may have gone. `deadline` replaces the client's for this run.
        """
        milliseconds = max(1, round((deadline or self.deadline) * 1000))
        window = self._idle.pop() if self._idle else _Window(self.limits, self.window)
        try:
            yield from self._turn(window, iter(requests), milliseconds)
        finally:
            window.break_off()
            if self._closed.is_set():
                window.close()
            else:
                self._idle.append(window)

    def close(self) -> None:
        """Close every connection; runs on other threads end within a fifth of a second."""
        self._closed.set()
        while self._idle:
            self._idle.pop().close()

    def _turn(
        self, window: _Window, source: Iterator[Request[T]], milliseconds: int
    ) -> Iterator[_Outcome[T]]:
        more, pause = True, 0.0
        while not self._closed.is_set():
            if more:
                more, pause = self._pull(window, source, milliseconds)
            if given_up():
                return
            if called_off():
                window.call_off()
            done = window.advance()
            if done:
                yield from done
            elif window.open:
                window.wait(min(_POLL, pause) if more and pause else _POLL)
            elif not more:
                return
            elif pause:
                self._closed.wait(min(_POLL, pause))

    def _pull(
        self, window: _Window, source: Iterator[Request[T]], milliseconds: int
    ) -> tuple[bool, float]:
        """Fill the window; say whether there may be more, and how many seconds the pace wants to wait."""
        until = time.monotonic() + _PULL
        while len(window.open) < self.room and time.monotonic() < until:
            pause = self.pace.wait()
            if pause:
                return True, pause
            request = next(source, None)
            if request is None:
                return False, 0.0
            window.begin(request, milliseconds)
        return True, 0.0


class _Pace:
    """A token bucket: `rate` a second, in bursts of at most a tenth of a second's worth."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.most = max(1.0, rate / 10)
        self.tokens = self.most
        self.at = time.monotonic()
        self._lock = threading.Lock()

    def wait(self) -> float:
        """Take a token and return 0.0, or return the seconds until there is one."""
        if not self.rate:
            return 0.0
        with self._lock:
            now = time.monotonic()
            self.tokens = min(self.most, self.tokens + (now - self.at) * self.rate)
            self.at = now
            if self.tokens < 1.0:
                return (1.0 - self.tokens) / self.rate
            self.tokens -= 1.0
            return 0.0


class _Window:
    """The handles and connections of one run at a time."""

    def __init__(self, limits: Limits, size: int) -> None:
        self.limits = limits
        self.multi = pycurl.CurlMulti()
        self.multi.setopt(pycurl.M_MAXCONNECTS, size)
        self.open: dict[pycurl.Curl, Call] = {}
        self.free: list[Call] = []
        self.stillborn: list[tuple[Request[Any], Answer | Problem]] = []
        self.look_anew = False

    def begin(self, request: Request[Any], milliseconds: int) -> None:
        """Open one more call; one that cannot even be said is ended at once."""
        call = self.free.pop() if self.free else Call(self.limits)
        try:
            call.prepare(request, milliseconds, look_anew=self.look_anew)
        except (pycurl.error, ValueError) as error:
            call.curl.close()
            sentence = "The gateway's address, or a header for it, holds what cannot be sent."
            self.stillborn.append((request, Problem(sentence, type(error).__name__, lasting=True)))
            return
        self.multi.add_handle(call.curl)
        self.open[call.curl] = call

    def advance(self) -> list[tuple[Request[Any], Answer | Problem]]:
        """Do what can be done without waiting; return what has ended."""
        self.multi.perform()
        done, self.stillborn = self.stillborn, []
        more = 1
        while more:
            more, good, bad = self.multi.info_read()
            for curl in good:
                call = self._end(curl)
                self.look_anew = False
                done.append((call.request, call.answer()))
            for curl, code, words in bad:
                call = self._end(curl)
                # No connection stood: the address may be the wrong one, or the name be known again.
                self.look_anew |= not call.begun
                done.append((call.request, call.problem(code, words)))
        return done

    def wait(self, seconds: float) -> None:
        """Wait until a socket is ready, at most so long."""
        self.multi.select(seconds)

    def call_off(self) -> None:
        """End what has not begun to leave: it never will."""
        waiting = [curl for curl, call in self.open.items() if not call.begun]
        for curl in waiting:
            call = self._end(curl)
            sentence = "It was called off before a connection stood: nothing was sent."
            self.stillborn.append((call.request, Problem(sentence)))

    def break_off(self) -> None:
        """End what is open: libcurl closes the connection of a call that is taken away midway."""
        for curl in list(self.open):
            self._end(curl)
        self.stillborn.clear()

    def close(self) -> None:
        """Close every connection."""
        for call in self.free:
            call.curl.close()
        self.multi.close()

    def _end(self, curl: pycurl.Curl) -> Call:
        call = self.open.pop(curl)
        self.multi.remove_handle(curl)
        self.free.append(call)
        return call
