"""Postfix, Exim and OpenSMTPD, each with one port for relaying in the network and others for submission."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import quote

from tests.peers import mail_server_files as files
from tests.peers.parts import UnpackedPart, user_id
from tests.support.certificates import Certificate, make_certificate
from tests.support.ports import free_port, is_listening

USER = "postroom"
PASSWORD = "p@ss word %41"
"""It has characters that an address must escape."""


@dataclass(slots=True)
class MailServer:
    """A running mail server. It takes mails for every address and stores them in the folder `mails_in`."""

    mails_in: Path
    certificate: Certificate
    ports: dict[str, int] = field(default_factory=lambda: {each: free_port() for each in ("mx", "submission", "smtps")})

    def url(self, kind: str) -> str:
        """Return the relay's address: plain, starttls, submission or smtps."""
        scheme = {"plain": "smtp", "smtps": "smtps"}.get(kind, "smtp+starttls")
        login = f"{USER}:{quote(PASSWORD)}@" if kind in self.ports else ""
        return f"{scheme}://{login}127.0.0.1:{self.ports.get(kind, self.ports['mx'])}"

    def mails(self) -> list[EmailMessage]:
        """Read the mails that it has stored."""
        paths = [path for path in self.mails_in.rglob("*") if path.parent.name == "new" and path.is_file()]
        return [message_from_bytes(each.read_bytes(), policy=policy.default) for each in paths]

    def is_up(self) -> bool:
        """Return whether it listens on all its ports."""
        return all(is_listening(port) for port in self.ports.values())


@contextmanager
def open_postfix(folder: Path, more: str = "") -> Iterator[MailServer]:
    """Run Postfix 3.7, with Cyrus SASL for logins. It wants HELO, again after STARTTLS. `more` are lines of main.cf."""
    part = UnpackedPart("postfix", folder)
    owner = user_id("postfix")
    server = MailServer(part.make_folder("mails", owner=owner), make_certificate(folder))
    part.make_folder("var/lib/postfix", owner=owner)
    part.write("etc/postfix/main.cf", files.POSTFIX_MAIN.format(folder=folder, owner=owner, server=server) + more)
    part.write("etc/postfix/master.cf", files.POSTFIX_MASTER.format(ports=server.ports))
    part.write("etc/postfix/domains", files.POSTFIX_DOMAINS)
    part.write("etc/postfix/mailboxes", files.POSTFIX_MAILBOXES)
    part.write("etc/postfix/sasl/smtpd.conf", files.POSTFIX_SASL.format(folder=folder))
    for queue in (*files.POSTFIX_QUEUES.split(), "public"):
        part.make_folder(f"spool/{queue}", owner=owner)
    part.make_folder("spool/pid")
    part.run("saslpasswd2", "-p", "-c", "-f", str(folder / "sasldb2"), "-u", "postroom.example", USER, text=PASSWORD)
    (folder / "sasldb2").chmod(0o644)
    with part.running("/usr/lib/postfix/sbin/master", "-d", is_ready=server.is_up):
        yield server


@contextmanager
def open_exim(folder: Path, more: str = "") -> Iterator[MailServer]:
    """Run Exim 4.96. `more` are lines of the main section of its configuration."""
    part = UnpackedPart("exim", folder)
    owner = user_id("Debian-exim")
    server = MailServer(part.make_folder("mails", owner=owner), make_certificate(folder))
    for each in (server.certificate.key, server.certificate.path):
        each.chmod(0o644)
    for name in ("spool", "logs"):
        part.make_folder(name, owner=owner)
    configuration = more + files.EXIM.format(folder=folder, ports=server.ports, user=USER, word=PASSWORD)
    part.write("etc/exim4/exim4.conf", configuration)
    with part.running("/usr/sbin/exim4", "-bdf", is_ready=server.is_up):
        yield server


@contextmanager
def open_opensmtpd(folder: Path) -> Iterator[MailServer]:
    """Run OpenSMTPD 6.8, whose STARTTLS fails with every client.

    A process of its own keeps the private key, and the others name the key by data that they attach to it
    (`RSA_set_ex_data`). OpenSSL 3, against which Debian built it, signs with a copy that lacks the data. The server's
    trace has "rsae_priv_enc" and then "missing private key", with RSA and with ECDSA, in TLS 1.2 and in 1.3.
    """
    part = UnpackedPart("opensmtpd", folder)
    port = free_port()
    owner = user_id("peer")
    server = MailServer(part.make_folder("mails", owner=owner), make_certificate(folder), {"mx": port})
    server.certificate.key.chmod(0o600)
    part.write("etc/smtpd.conf", files.OPENSMTPD.format(folder=folder, port=port))
    part.make_folder("var/lib/opensmtpd/empty")
    part.make_folder("var/spool/smtpd", mode=0o711)
    with part.running("/usr/sbin/smtpd", "-d", is_ready=server.is_up):
        yield server
