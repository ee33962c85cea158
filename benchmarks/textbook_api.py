"""The same endpoint, written the textbook way, for comparison with the API.

FastAPI, a pydantic model, one synchronous SQLAlchemy session and commit per request, the key looked up by a query,
the recipients checked with SELECT IN, the rows inserted through the ORM, and a Celery task sent after the commit.
"""

import argparse
import hashlib
import hmac
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import uvicorn
from celery import Celery
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, Field
from sqlalchemy import BigInteger, ForeignKey, Identity, SmallInteger, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker
from uuid_utils.compat import uuid7

from delivery.settings import Settings, settings_from_environment
from tasks.app import celery_url

_THREADS = 40  # As many as Starlette runs synchronous endpoints on, so that none of them waits for a connection.


class Base(DeclarativeBase):
    """What the models share."""


class Account(Base):
    """A person who can receive messages."""

    __tablename__ = "account"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    status: Mapped[str]


class Credential(Base):
    """A key of a client."""

    __tablename__ = "credential"
    prefix: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[UUID]
    digest: Mapped[bytes]
    revoked_at: Mapped[datetime | None]


class Message(Base):
    """What was sent."""

    __tablename__ = "message"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    client_id: Mapped[UUID]
    sender_name: Mapped[str]
    sender_email: Mapped[str | None]
    subject: Mapped[str]
    body: Mapped[str]
    type: Mapped[str]
    open_count: Mapped[int] = mapped_column(SmallInteger)
    good_count: Mapped[int] = mapped_column(SmallInteger, default=0)
    recipients: Mapped[list["Recipient"]] = relationship()


class Recipient(Base):
    """One account that a message is for."""

    __tablename__ = "recipient"
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    message_id: Mapped[UUID] = mapped_column(ForeignKey("message.id"))
    account_id: Mapped[UUID]
    position: Mapped[int] = mapped_column(SmallInteger)
    state: Mapped[str] = mapped_column(default="accepted")
    due_at: Mapped[datetime]


class NewMessage(BaseModel):
    """A message as a client sends it."""

    recipient_uuids: list[UUID] = Field(min_length=1, max_length=25)
    sender_name: str = Field(min_length=1, max_length=120)
    sender_email: str | None = None
    subject: str = Field(min_length=1, max_length=255)
    body: str = Field(min_length=1, max_length=65536)
    type: Literal["rfq", "job", "other"] = "other"


class Meta(BaseModel):
    """The status of a message."""

    status: str
    status_message: str
    status_reason: str
    message_uuid: UUID


class Sent(BaseModel):
    """The response."""

    success: int
    meta: Meta
    data: None = None


def make_textbook_app(settings: Settings) -> FastAPI:
    """Make the application."""
    url = settings.database_url.get_secret_value().replace("postgresql://", "postgresql+psycopg://")
    sessions = sessionmaker(create_engine(url, pool_size=_THREADS, max_overflow=0), expire_on_commit=False)
    decide = _make_task(settings)
    app = FastAPI()

    def session() -> Iterator[Session]:
        with sessions() as db:
            yield db

    def authenticate(
        db: Annotated[Session, Depends(session)], key: Annotated[str, Header(alias="X-Proz-API-Key")]
    ) -> Credential:
        prefix, _, secret = key[:19], key[19:20], key[20:]
        pepper = settings.pepper.get_secret_value().encode()
        known = db.scalars(
            select(Credential).where(Credential.prefix == prefix, Credential.revoked_at.is_(None))
        ).one_or_none()
        if known is None or not hmac.compare_digest(known.digest, hmac.digest(pepper, secret.encode(), hashlib.sha256)):
            raise HTTPException(401, "Invalid API key.")
        return known

    @app.post("/messages", status_code=201)
    def send(
        new: NewMessage,
        db: Annotated[Session, Depends(session)],
        credential: Annotated[Credential, Depends(authenticate)],
    ) -> Sent:
        _refuse_unknown(db, new.recipient_uuids)
        message = _store(db, credential.client_id, new)
        decide.delay(str(message.id))
        return _answer(message.id)

    return app


def _refuse_unknown(db: Session, account_ids: list[UUID]) -> None:
    known = set(db.scalars(select(Account.id).where(Account.id.in_(account_ids), Account.status == "active")))
    if len(known) < len(set(account_ids)):
        raise HTTPException(400, "Unknown recipients.")


def _store(db: Session, client_id: UUID, new: NewMessage) -> Message:
    due_at = datetime.now(UTC) + timedelta(seconds=5)
    message = Message(
        client_id=client_id, open_count=len(new.recipient_uuids), **new.model_dump(exclude={"recipient_uuids"})
    )
    message.recipients = [
        Recipient(account_id=account_id, position=position, due_at=due_at)
        for position, account_id in enumerate(new.recipient_uuids)
    ]
    db.add(message)
    db.commit()
    return message


def _answer(message_id: UUID) -> Sent:
    meta = Meta(status="pending", status_message="On its way.", status_reason="in_delivery", message_uuid=message_id)
    return Sent(success=1, meta=meta)


def _make_task(settings: Settings) -> Any:
    app = Celery("textbook", broker=celery_url(settings))

    @app.task(name="textbook.decide", ignore_result=True)  # type: ignore[untyped-decorator] # Celery ships no types
    def decide(message_id: str) -> None:
        del message_id

    return decide


def main() -> None:
    """Serve, as `python -m api_stub` does."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, required=True)
    port: int = parser.parse_args().port
    app = make_textbook_app(settings_from_environment())
    uvicorn.run(app, port=port, log_config=None, access_log=False, server_header=False)


if __name__ == "__main__":
    main()
