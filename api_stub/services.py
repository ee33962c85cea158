"""The services of an API process: opened when it starts, passed to every request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI, Request

from api_stub.batching.accept_batcher import AcceptBatcher
from api_stub.batching.contact_book import ContactBook
from api_stub.batching.verdict_waiter import VerdictWaiter
from api_stub.credentials.issuer import TrustedIssuer, open_issuer
from api_stub.credentials.verifier import CredentialVerifier
from api_stub.ratelimit.limiter import Limiter, open_limiter
from delivery.records.database import AsyncDatabase, open_async_database
from delivery.settings import Settings
from tasks.broker.doorbell import BrokerDoorbell, Doorbell, SilentDoorbell

_CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class Services:
    """What every request in this process uses."""

    settings: Settings
    database: AsyncDatabase
    doorbell: Doorbell
    accept_batcher: AcceptBatcher
    contact_book: ContactBook
    verdict_waiter: VerdictWaiter
    limiter: Limiter
    verifier: CredentialVerifier
    issuer: TrustedIssuer | None


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open the services, and close them at the end."""
    database = open_async_database(settings, connections=_CONNECTIONS)
    doorbell = BrokerDoorbell(settings) if settings.bell else SilentDoorbell()
    limiter = open_limiter(settings)
    verifier = CredentialVerifier(database, settings.pepper)
    issuer = open_issuer(settings)
    contact_book = ContactBook(database)
    verdict_waiter = VerdictWaiter(database, tick_s=settings.verdict_tick_s, limit=settings.waiting_limit)
    try:
        yield Services(
            settings=settings,
            database=database,
            doorbell=doorbell,
            accept_batcher=AcceptBatcher(database, settings.grace, lambda: verdict_waiter.waiting_count),
            contact_book=contact_book,
            verdict_waiter=verdict_waiter,
            limiter=limiter,
            verifier=verifier,
            issuer=issuer,
        )
    finally:
        doorbell.close()
        await limiter.close()
        if issuer is not None:
            await issuer.close()
        await verifier.close()
        await contact_book.close()
        await database.close()


def install_services(app: FastAPI, services: Services) -> None:
    """Store the services where `services_of` finds them."""
    app.state.services = services


def services_of(request: Request) -> Services:
    """Return the services of this process."""
    services: Services = request.app.state.services
    return services
