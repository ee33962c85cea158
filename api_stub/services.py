"""The services of an API process: opened when it starts, passed to every request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from fastapi import FastAPI, Request

from api_stub.background.pause_timer import PauseTimer
from api_stub.background.read_audit import ReadAudit
from api_stub.batching.accept_batcher import AcceptBatcher
from api_stub.batching.batcher import Batcher, Pending
from api_stub.batching.contact_book import ContactBook
from api_stub.batching.verdict_waiter import VerdictWaiter
from api_stub.credentials.issuer import TrustedIssuer, open_issuer
from api_stub.credentials.verifier import CredentialVerifier
from api_stub.ratelimit.limiter import Limiter, open_limiter
from delivery.records.database import AsyncDatabase, Database, open_async_database, open_page_database
from delivery.records.migrate import is_current
from delivery.settings import Settings
from tasks.broker.doorbell import BrokerDoorbell, Doorbell, SilentDoorbell
from tasks.context import StepContext


@dataclass(frozen=True, slots=True)
class ApiDatabases:
    """The connections of an API process, in four pools, so that no kind of request waits for another kind.

    Where requests of many callers share a pool, each caller takes turns (`run_in_turn`), and no caller can fill it.
    """

    sending: AsyncDatabase
    """For sends and their verdicts, which are collected: one batch each at a time, and one check of readiness."""
    reading: AsyncDatabase
    """For what clients read. PostgreSQL ends what takes longer than a request waits."""
    changing: AsyncDatabase
    """For accounts and their preferences, whose rows others may have locked."""
    credentials: AsyncDatabase
    """For looking credentials up, one batch of each kind at a time, and for new tokens."""

    async def close(self) -> None:
        """Close all connections."""
        for database in (self.sending, self.reading, self.changing, self.credentials):
            await database.close()


def open_databases(settings: Settings) -> ApiDatabases:
    """Open the pools: 15 connections at most. docs/production.md has the sum for operators."""
    return ApiDatabases(
        sending=open_async_database(settings, connections=4),
        reading=open_async_database(settings, connections=4, only_reads=True),
        changing=open_async_database(settings, connections=3),
        credentials=open_async_database(settings, connections=4),
    )


@dataclass(frozen=True, slots=True)
class DeskServices:
    """What the desk uses. Its routes run on threads, with connections of their own: three at most."""

    database: Database
    context: StepContext
    """For the steps that decide cases."""
    pause_timer: PauseTimer
    read_audit: ReadAudit

    def close(self) -> None:
        """End the threads, append what they still hold, and close all connections."""
        self.pause_timer.close()
        self.read_audit.close()
        self.database.dispose()


def _open_desk(settings: Settings, doorbell: Doorbell) -> DeskServices:
    database = open_page_database(settings, connections=3)
    return DeskServices(
        database=database,
        context=StepContext(settings, database, doorbell),
        pause_timer=PauseTimer(database, doorbell),
        read_audit=ReadAudit(database, settings.audit_key),
    )


@dataclass(frozen=True, slots=True)
class Services:
    """What every request in this process uses."""

    settings: Settings
    databases: ApiDatabases
    doorbell: Doorbell
    accept_batcher: AcceptBatcher
    contact_book: ContactBook
    verdict_waiter: VerdictWaiter
    limiter: Limiter
    verifier: CredentialVerifier
    issuer: TrustedIssuer | None
    desk: DeskServices
    schema_check: Batcher[None, bool]
    """Whether the database has the schema of this version. Requests that ask meanwhile share one query."""


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open the services, and close them at the end."""
    databases = open_databases(settings)
    doorbell = BrokerDoorbell(settings) if settings.bell else SilentDoorbell()
    limiter = open_limiter(settings)
    verifier = CredentialVerifier(databases.credentials, settings.pepper)
    issuer = open_issuer(settings)
    contact_book = ContactBook(databases.sending)
    desk = _open_desk(settings, doorbell)
    verdict_waiter = VerdictWaiter(databases.sending, tick_s=settings.verdict_tick_s, limit=settings.waiting_limit)
    try:
        yield Services(
            settings=settings,
            databases=databases,
            doorbell=doorbell,
            accept_batcher=AcceptBatcher(databases.sending, settings.grace, lambda: verdict_waiter.waiting_count),
            contact_book=contact_book,
            verdict_waiter=verdict_waiter,
            limiter=limiter,
            verifier=verifier,
            issuer=issuer,
            desk=desk,
            schema_check=Batcher[None, bool](partial(_check_schema, databases.sending)),
        )
    finally:
        desk.close()
        doorbell.close()
        await limiter.close()
        if issuer is not None:
            await issuer.close()
        await verifier.close()
        await contact_book.close()
        await databases.close()


async def _check_schema(database: AsyncDatabase, batch: list[Pending[None, bool]]) -> None:
    found = await database.run(is_current)
    for each in batch:
        each.resolve(found)


def install_services(app: FastAPI, services: Services) -> None:
    """Store the services where `services_of` finds them."""
    app.state.services = services


def services_of(request: Request) -> Services:
    """Return the services of this process."""
    services: Services = request.app.state.services
    return services
