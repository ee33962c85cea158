"""A person at the desk: add one, log in, and send the forms of pages as a browser does."""

import re
from html import unescape
from typing import Any

import httpx2

from delivery.records.database import Database, transaction
from delivery.records.identities import staff
from delivery.records.identities.staff import NewStaff, StaffMember
from delivery.staff_secrets import digest_password
from delivery.vocabulary import StaffRole

PASSWORD = "correct horse battery"
_DIGEST = digest_password(PASSWORD)
_CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


def add_staff(database: Database, name: str = "Vera", role: StaffRole = StaffRole.VETTER, **facts: Any) -> StaffMember:
    """Store a person whose password is `PASSWORD`."""
    with transaction(database) as db:
        added = staff.add(db, NewStaff(name, role, _DIGEST, **facts))
        assert added is not None
        found = staff.by_id(db, added)
    assert found is not None
    return found


class Browser:
    """A browser of one person: it keeps its cookies and sends the form token of the page that it saw last."""

    def __init__(self, http: httpx2.Client) -> None:
        self.http = httpx2.Client(base_url=http.base_url, timeout=15, follow_redirects=True)
        self.page: httpx2.Response | None = None

    def log_in(self, name: str = "Vera", password: str = PASSWORD, **fields: str) -> httpx2.Response:
        """Send the form of the login page."""
        return self._seen(self.http.post("/desk/login", data={"name": name, "password": password, **fields}))

    def open(self, path: str) -> httpx2.Response:
        """Open a page."""
        return self._seen(self.http.get(path))

    def send(self, path: str, **fields: str) -> httpx2.Response:
        """Send a form with the token of the page that was seen last."""
        return self.send_with({}, path, **fields)

    def send_with(self, headers: dict[str, str], path: str, **fields: str) -> httpx2.Response:
        """Send a form as `send` does, with these headers."""
        found = _CSRF.search(self.page.text if self.page else "")
        token = {"csrf": found[1]} if found else {}
        return self._seen(self.http.post(path, data={**token, **fields}, headers=headers))

    def close(self) -> None:
        """Close its connections."""
        self.http.close()

    @property
    def text(self) -> str:
        """The content of the page without its markup, as one line."""
        assert self.page is not None
        return text_of(self.page)

    def _seen(self, answer: httpx2.Response) -> httpx2.Response:
        self.page = answer
        return answer


def text_of(answer: httpx2.Response) -> str:
    """Return the text that a page shows, as one line."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())
