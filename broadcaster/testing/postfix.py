"""A real Postfix on this machine, in a folder of its own: it takes letters on loopback and puts them into mailboxes.

Elsa, Nils and everybody else at ekbyn.example have a mailbox. `gone@` and `relative@` are refused for good, `later@` and
`full@` for now, `nobody-home@` only after it was taken: then a bounce goes out. What comes to `studs+…@` is handed to the
command of `bounces`.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from broadcaster.testing.peers import PEERS, unprivileged
from broadcaster.testing.ports import free_ports
from broadcaster.testing.programs import FarProgram

DOMAIN = "ekbyn.example"
_MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/state
maillog_file = /dev/stdout
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = post.{domain}
mydestination =
mynetworks =
alias_maps =
local_recipient_maps =
smtputf8_enable = no
recipient_delimiter = +
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
transport_maps = regexp:{folder}/conf/transport
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions =
    check_recipient_access regexp:{folder}/conf/recipients, reject_unauth_destination
smtpd_sender_restrictions = check_sender_access regexp:{folder}/conf/senders
smtpd_tls_security_level = none
smtpd_tls_chain_files = {certificate}
smtpd_client_connection_count_limit = 0
smtp_dns_support_level = disabled
bounce_queue_lifetime = 1h
"""
_MASTER = """
127.0.0.1:{plain}    inet n - n - - smtpd
127.0.0.1:{starttls} inet n - n - - smtpd
  -o smtpd_tls_security_level=may
127.0.0.1:{implicit} inet n - n - - smtpd
  -o smtpd_tls_security_level=may
  -o smtpd_tls_wrappermode=yes
127.0.0.1:{small}    inet n - n - - smtpd
  -o message_size_limit=2000
127.0.0.1:{strict}   inet n - n - - smtpd
  -o smtpd_hard_error_limit=1
127.0.0.1:{narrow}   inet n - n - 2 smtpd
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
proxymap  unix - - n - - proxymap
anvil     unix - - n - 1 anvil
tlsmgr    unix - - n 1000? 1 tlsmgr
smtp      unix - - n - - smtp
error     unix - - n - - error
retry     unix - - n - - error
virtual   unix - n n - - virtual
postlog   unix-dgram n - n - 1 postlogd
vacant    unix - n n - - pipe
  flags=q user={user} argv=/bin/sh -c {{exit 67}}
bounces   unix - n n - - pipe
  flags=q user={user} argv={bounces}
"""
_TABLES = {
    "recipients": """
/^gone@/ 550 5.1.1 Ingen brevlåda
/^relative@/ 550 5.7.1 We do not like you
/^later@/ 450 4.2.0 Greylisted, come again
/^full@/ 452 4.2.2 Mailbox full
""",
    "senders": "/^forbidden@/ 550 5.7.1 Not yours",
    "transport": "/^nobody-home@/ vacant:\n/^studs\\+/ bounces:",
}
PORTS = ("plain", "starttls", "implicit", "small", "strict", "narrow")


class PostfixServer(FarProgram):
    """`with PostfixServer(certificate) as postfix:` send to `postfix.ports["plain"]`, then look at `postfix.letters("elsa")`.

    `certificate` is a PEM of key and certificate for 127.0.0.1; `bounces` the command that gets what comes back.
    """

    ports: dict[str, int]

    def __init__(self, certificate: Path, bounces: Sequence[str] = ("/bin/cat",)) -> None:
        super().__init__()
        self._certificate, self._bounces = certificate, bounces

    def prepare(self) -> None:
        """Write its configuration and tables; whoever is to own a folder owns it."""
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        mail, postfix = unprivileged("nobody"), unprivileged("postfix")
        if mail is None or postfix is None:
            raise PermissionError("Postfix is run by root only")
        self.folder.chmod(0o755)
        for name in ("conf", "queue", "state", "mail"):
            (self.folder / name).mkdir()
            (self.folder / name).chmod(
                0o755
            )  # also where what ran before keeps what it makes to itself
        os.chown(self.folder / "state", postfix.pw_uid, -1)
        os.chown(self.folder / "mail", mail.pw_uid, mail.pw_gid)
        own = self.folder / "conf" / "certificate.pem"
        own.write_bytes(self._certificate.read_bytes())
        own.chmod(0o600)
        values = {"folder": self.folder, "domain": DOMAIN, "certificate": own, **self.ports}
        values |= {"uid": mail.pw_uid, "gid": mail.pw_gid, "user": mail.pw_name}
        conf = self.folder / "conf"
        (conf / "main.cf").write_text(_MAIN.format(**values))
        (conf / "master.cf").write_text(_MASTER.format(bounces=" ".join(self._bounces), **values))
        for name, table in _TABLES.items():
            (conf / name).write_text(table + "\n")

    def begin(self) -> None:
        """Run it in the foreground."""
        arguments = ("-c", str(self.folder / "conf"), "start-fg")
        postfix = self.run(PEERS["postfix"].path("postfix"), *arguments, chatty=True)
        postfix.wait_for(b"daemon started")

    def stop(self) -> None:
        """Stop it; what it has taken stays in its queue."""
        # The program that was started only waits for this one, and would leave it behind.
        pid = self.folder / "queue" / "pid" / "master.pid"
        runs = any(each.process.poll() is None for each in self.programs)
        if runs and pid.is_file():  # else it may be another's number by now
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid.read_text()), signal.SIGTERM)
        super().stop()

    @property
    def log(self) -> list[str]:
        """What it has said since it was started last."""
        return self.lines

    def wait_for(self, words: str, count: int = 1, seconds: float = 30.0) -> None:
        """Wait until it has logged these words so many times; raises TimeoutError with its newest lines."""
        [postfix] = self.programs
        postfix.wait_for(words.encode(), count, seconds)

    def letters(self, name: str = "") -> list[bytes]:
        """The letters that were delivered, to one mailbox or to all, oldest first."""
        files = (self.folder / "mail" / "all" / "new").glob("*")
        by_age = sorted(files, key=lambda file: file.stat().st_mtime_ns)
        whole = [file.read_bytes() for file in by_age]
        return [one for one in whole if f"\nDelivered-To: {name}".encode() in b"\n" + one]
