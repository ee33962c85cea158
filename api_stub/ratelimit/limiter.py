"""Limit what a client sends, and what can be learnt by trying credentials and recipients.

Every limit holds twice. A counter in Redis limits all API processes together; each draws up to a fiftieth at a time
from it. A local counter limits each process, also while Redis is away, frozen or wiped.
"""

import hashlib
import hmac
import math
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from time import monotonic
from uuid import UUID

from pydantic import SecretStr

from api_stub.ratelimit.redis_counter import RedisCounter, RedisSlidingWindow
from api_stub.ratelimit.shared_limit import SharedLimit
from api_stub.server.errors import ApiError
from api_stub.server.peers import network_of
from delivery.logs.security import SampledLines
from delivery.rules.rate_windows import RateLimit
from delivery.settings import Settings

_MINUTE_S = 60
_HOUR_S = 3600
# About 12 MB for each of the four limits, when that many addresses or clients make requests within a minute.
_CAPACITY = 20_000
_DIGEST_BYTES = 16


class Limiter:
    """All limits of this process. Its checks raise `ApiError` 429, `rate_limited`, with `Retry-After`."""

    def __init__(
        self,
        settings: Settings,
        shared_counter: RedisCounter,
        *,
        clock: Callable[[], float] = monotonic,
        capacity: int = _CAPACITY,
    ) -> None:
        self._settings = settings
        self.sampled_lines = SampledLines(clock=clock)
        self._shared_counter = shared_counter
        self._requests, self._recipients, self._unknown_recipients, self._refused_credentials = (
            SharedLimit(name, shared_counter, clock, capacity=capacity)
            for name in ("requests", "recipients", "strangers", "refused_credentials")
        )

    async def count_refused_credential(self, address: str, **about: object) -> None:
        """Count a refused credential before the response: one too many gets 429 instead of 401.

        A valid credential is no guess and is never counted, whatever its address. `about` goes into the security log.
        """
        network = self._hide(address)
        self.sampled_lines.count("credential_refused", network, network=network, **about)
        self._refuse_guesses(
            network, await self._refused_credentials.take_rest(network, self._refused_credential_limit, 1)
        )

    def count_malformed(self, address: str, status: int) -> int:
        """Count what was no HTTP request, without waiting. Return 0, or in how many seconds this address may try again.

        Such requests share the limit of refused credentials.
        """
        network = self._hide(address)
        self.sampled_lines.count("request_malformed", network, network=network, status=int(status))
        wait_s = self._refused_credentials.use_now(network, self._refused_credential_limit)
        if not wait_s:
            return 0
        self._note_limit("refused_credentials", network, network=network)
        return _round_up(wait_s)

    def check_guesses(self, address: str) -> None:
        """Check that an address may be refused once more, before another system is asked about its credential.

        Uses the local counter alone.
        """
        network = self._hide(address)
        self._refuse_guesses(network, self._refused_credentials.wait_s(network, self._refused_credential_limit))

    def has_guessed(self, address: str) -> bool:
        """Return whether a credential from this address was refused lately."""
        return self._refused_credentials.is_used(self._hide(address), self._refused_credential_limit)

    async def check_request(self, client_id: UUID, per_minute: int | None) -> None:
        """Count a request of a client. None means the setting's limit."""
        rate_limit = RateLimit(self._settings.requests_per_minute if per_minute is None else per_minute, _MINUTE_S)
        wait_s = await self._requests.take(str(client_id), rate_limit, 1)
        if wait_s:
            self._note_limit("requests", str(client_id), client_id=str(client_id))
            raise _refusal(f"Too many requests: this client may make {rate_limit.amount} a minute.", wait_s)

    async def check_recipients(self, client_id: UUID, per_minute: int | None, count: int) -> None:
        """Count the recipients of a message before it is stored. None means the setting's limit."""
        rate_limit = RateLimit(self._settings.recipients_per_minute if per_minute is None else per_minute, _MINUTE_S)
        wait_s = await self._recipients.take(str(client_id), rate_limit, count)
        if wait_s:
            self._note_limit("recipients", str(client_id), client_id=str(client_id))
            raise _refusal(f"Too many recipients: this client may write to {rate_limit.amount} a minute.", wait_s)

    async def check_lookups(self, client_id: UUID, are_contacts: Callable[[], Awaitable[bool]]) -> None:
        """Check that a client has not named too many unknown recipients lately. Uses the local counter alone.

        Past the limit a message goes on if all its recipients are contacts of the client, and so are no guesses.
        """
        rate_limit = self._unknown_recipient_limit
        wait_s = self._unknown_recipients.wait_s(str(client_id), rate_limit)
        if wait_s and not await are_contacts():
            self._refuse_lookups(client_id, wait_s)

    async def count_unknown_recipients(self, client_id: UUID, count: int) -> None:
        """Count unknown recipients before the response names them: beyond the limit it is 429 and names none.

        So concurrent requests learn no more than requests one after the other.
        """
        rate_limit = self._unknown_recipient_limit
        self._refuse_lookups(client_id, await self._unknown_recipients.take_rest(str(client_id), rate_limit, count))

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._shared_counter.close()

    def _hide(self, address: str) -> str:
        return hide_address(address, self._settings.pepper)

    @property
    def _refused_credential_limit(self) -> RateLimit:
        return RateLimit(self._settings.refused_credentials_per_minute, _MINUTE_S)

    def _refuse_guesses(self, network: str, wait_s: float) -> None:
        if wait_s:
            self._note_limit("refused_credentials", network, network=network)
            limit = f"Too many refused credentials from this address: {self._refused_credential_limit.amount} a minute."
            raise _refusal(f"{limit} Check yours.", wait_s)

    def _refuse_lookups(self, client_id: UUID, wait_s: float) -> None:
        if wait_s:
            self._note_limit("unknown_recipients", str(client_id), client_id=str(client_id))
            limit = f"Too many unknown recipients: this client may name {self._unknown_recipient_limit.amount} an hour."
            advice = "Meanwhile it may write to accounts that it registered or has written to before."
            raise _refusal(f"{limit} {advice}", wait_s)

    def _note_limit(self, limit: str, subject: str, **about: object) -> None:
        self.sampled_lines.count("limit_reached", f"{limit}/{subject}", limit=limit, **about)

    @property
    def _unknown_recipient_limit(self) -> RateLimit:
        return RateLimit(self._settings.unknown_recipients_per_hour, _HOUR_S)


def open_limiter(settings: Settings) -> Limiter:
    """Make the limiter of an API process. It connects on first use."""
    return Limiter(settings, RedisCounter(RedisSlidingWindow(settings.broker_url.get_secret_value())))


def hide_address(address: str, pepper: SecretStr) -> str:
    """Return a keyed digest of the network of an address: addresses are personal data, and none is stored anywhere.

    An IPv6 address counts as its /64.
    """
    digest = hmac.digest(pepper.get_secret_value().encode(), network_of(address).encode(), hashlib.sha256)
    return digest[:_DIGEST_BYTES].hex()


def _refusal(limit: str, wait_s: float) -> ApiError:
    retry_after_s = _round_up(wait_s)
    description = f"{limit} Try again in {retry_after_s} s."
    headers = {"Retry-After": str(retry_after_s)}
    return ApiError(HTTPStatus.TOO_MANY_REQUESTS, "rate_limited", description, headers=headers)


def _round_up(wait_s: float) -> int:
    """Return whole seconds, more than these, so that a client that waits so long is not refused because of rounding."""
    return math.floor(wait_s) + 1
