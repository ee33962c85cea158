"""Run the mail sink: an SMTP server that delivers nowhere, keeps every mail, and shows it to people and programs."""

import asyncio
import errno
import html
import json
import os
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from email import message_from_string, policy
from pathlib import Path

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

# A mailbox called NAME-550 refuses with that code: permanently from 500 on, temporarily below. Any other accepts.
_REFUSING_MAILBOX = re.compile(r".+-([45]\d\d)@", re.ASCII)
_MAIL_LIMIT_BYTES = 10 * 1024 * 1024
_NEWEST_SHOWN = 200
_HOSTS = ("127.0.0.1", "localhost")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@dataclass(frozen=True, slots=True)
class Mail:
    """An accepted mail: `raw` is the whole of it as text, `rcpt_to` the recipients of its SMTP envelope."""

    id: int
    rcpt_to: list[str]
    raw: str


class MailStore:
    """The accepted mails, in one file: a mail is in it before the sink replies 250."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "mails.jsonl"
        self._mails = list(_read(path))
        _cut_incomplete_line(path)
        self._file = path.open("ab", buffering=0)

    def keep(self, rcpt_to: list[str], raw: bytes) -> None:
        """Store a mail, or raise `OSError` and store nothing. Bytes that are not UTF-8 are replaced."""
        mail = Mail(len(self._mails) + 1, rcpt_to, raw.decode("utf-8", "replace"))
        line = json.dumps(asdict(mail)).encode() + b"\n"
        kept_bytes = os.fstat(self._file.fileno()).st_size
        if self._file.write(line) < len(line):
            self._file.truncate(kept_bytes)
            raise OSError(errno.ENOSPC, "there is no room for the whole mail")
        self._mails.append(mail)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def mails(self) -> list[Mail]:
        """Return every stored mail, oldest first."""
        return self._mails


class _Receiver:
    """The handler that aiosmtpd calls for each recipient and each mail."""

    def __init__(self, mail_store: MailStore) -> None:
        self._mail_store = mail_store

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name and signature
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session, options
        refusing = _REFUSING_MAILBOX.match(address)
        if refusing:
            return f"{refusing[1]} This mailbox of the sink always answers so"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - see above
        del server, session
        content = envelope.content
        try:
            self._mail_store.keep(list(envelope.rcpt_tos), content if isinstance(content, bytes) else b"")
        except OSError:
            return "452 No room for this mail right now"
        return "250 OK"


async def run_sink(folder: Path, smtp: socket.socket, http: socket.socket, *, hosts: Sequence[str] = ()) -> None:
    """Serve SMTP and HTTP on these bound sockets until SIGTERM; mails are stored in `folder`.

    `hosts` are names under which the pages are asked for, besides those of this machine.
    """
    mail_store = MailStore(folder)
    receiver = _Receiver(mail_store)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(receiver, data_size_limit=_MAIL_LIMIT_BYTES, hostname="sink", enable_SMTPUTF8=True), sock=smtp
    )
    config = uvicorn.Config(make_sink_app(mail_store, hosts), log_config=None, access_log=False)
    await uvicorn.Server(config).serve(sockets=[http])
    server.close()


def make_sink_app(mail_store: MailStore, hosts: Sequence[str] = ()) -> Starlette:
    """Make the HTTP application: `/mails` for programs, `/` and `/mails/ID` for people.

    Only requests to this machine and to these `hosts` are answered: a web page could give its own name our address.
    """

    async def list_mails(request: Request) -> Response:
        del request
        return JSONResponse({"mails": [asdict(mail) for mail in mail_store.mails()]})

    async def is_alive(request: Request) -> Response:
        del request
        return JSONResponse({"status": "alive"})

    async def show_mails(request: Request) -> Response:
        del request
        return _html(_list_page(mail_store.mails()))

    async def show_mail(request: Request) -> Response:
        number = int(request.path_params["number"])
        mails = mail_store.mails()
        if not 1 <= number <= len(mails):
            return _html(_page("No such mail", "<p>The sink has no mail of this number.</p>"), 404)
        return _html(_mail_page(mails[number - 1]))

    return Starlette(
        routes=[
            Route("/", show_mails),
            Route("/mails", list_mails),
            Route("/mails/{number:int}", show_mail),
            Route("/healthz", is_alive),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[*_HOSTS, *hosts], www_redirect=False)],
    )


def _read(path: Path) -> Iterator[Mail]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):  # An incomplete last line is a mail to which the sink has not replied 250.
                yield Mail(**json.loads(line))


def _cut_incomplete_line(path: Path) -> None:
    if not path.exists():
        return
    content = path.read_bytes()
    with path.open("ab") as file:
        file.truncate(content.rfind(b"\n") + 1)


def _list_page(mails: list[Mail]) -> str:
    rows = "".join(_row(mail) for mail in reversed(mails[-_NEWEST_SHOWN:]))
    hint = "" if mails else "<p>No mail yet. Send a message to an account that is reached by e-mail.</p>"
    table = f"<table><tr><th>#</th><th>To</th><th>From</th><th>Subject</th></tr>{rows}</table>"
    return _page(
        f"{len(mails)} mail{'' if len(mails) == 1 else 's'}",
        f'{hint}{table}<p><a href="/mails">All of them as JSON</a></p>',
    )


def _html(content: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(content, status, {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"})


def _row(mail: Mail) -> str:
    try:
        read = message_from_string(mail.raw, policy=policy.default)
        texts = [", ".join(mail.rcpt_to), str(read["From"]), str(read["Subject"])]
    except Exception:  # noqa: BLE001 - the parser of the standard library has defects of every type
        texts = [", ".join(mail.rcpt_to), "", "(a mail that cannot be read)"]
    to, sender, subject = map(html.escape, texts)
    link = f'<a href="/mails/{mail.id}">{subject}</a>'
    return f"<tr><td>{mail.id}</td><td>{to}</td><td>{sender}</td><td>{link}</td></tr>"


def _mail_page(mail: Mail) -> str:
    raw = f"<details><summary>As it came</summary><pre>{html.escape(mail.raw)}</pre></details>"
    try:
        read = message_from_string(mail.raw, policy=policy.default)
        headers = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>" for name, value in read.items()
        )
        body = read.get_body(("plain",))
        text = html.escape(body.get_content() if body else "")
    except Exception:  # noqa: BLE001 - the parser of the standard library has defects of every type
        headers, text, raw = "", "This mail cannot be read.", raw.replace("<details>", "<details open>")
    return _page(f"Mail {mail.id}", f'<p><a href="/">All mails</a></p><table>{headers}</table><pre>{text}</pre>{raw}')


def _page(title: str, content: str) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title} - Postroom mail sink</title>'
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;"
        "border-bottom:1px solid #ddd;overflow-wrap:anywhere}pre{background:#f6f6f6;padding:1rem;white-space:pre-wrap}"
        f"</style><h1>{title}</h1>{content}</html>"
    )
