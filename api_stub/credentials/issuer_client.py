"""The line to a trusted issuer: JSON, short waits, no redirects, no proxies from the environment."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx2
import structlog

from api_stub.credentials.issuer_claims import IssuerUnreachable

ANSWER_LIMIT_BYTES = 256 * 1024

_CONNECTIONS = 20
_log = structlog.get_logger()


class IssuerClient:
    """Asks the issuer. One answer takes at most `timeout_s` in all, and is at most 256 KiB long."""

    def __init__(self, timeout_s: float, *, client_id: str = "", client_secret: str = "") -> None:
        self._timeout_s = timeout_s
        self._client = httpx2.AsyncClient(
            auth=httpx2.BasicAuth(client_id, client_secret) if client_id else None,
            timeout=timeout_s,
            limits=httpx2.Limits(max_connections=_CONNECTIONS),
            follow_redirects=False,
            trust_env=False,
        )

    async def get(self, url: str) -> Mapping[str, Any]:
        """Get a JSON object. Raises `IssuerUnreachable`."""
        return await self._ask("GET", url, None)

    async def post(self, url: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        """Post a form and get a JSON object. Raises `IssuerUnreachable`."""
        return await self._ask("POST", url, form)

    async def close(self) -> None:
        """Hang up."""
        await self._client.aclose()

    async def _ask(self, method: str, url: str, form: Mapping[str, str] | None) -> Mapping[str, Any]:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._client.stream(method, url, data=form, headers=headers) as answer,
            ):
                return await _read(answer)
        except (httpx2.HTTPError, TimeoutError, ValueError, RecursionError) as error:
            _log.warning("issuer_unreachable", error=type(error).__name__)
            raise IssuerUnreachable from error


async def _read(answer: httpx2.Response) -> Mapping[str, Any]:
    if answer.status_code != 200:
        raise ValueError(f"the issuer answered {answer.status_code}")
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > ANSWER_LIMIT_BYTES:
            raise ValueError("the issuer's answer has no end")
    content = json.loads(body)
    if not isinstance(content, dict):
        raise ValueError("the issuer's answer is no JSON object")  # noqa: TRY004 - about what was said, not a type
    return content
