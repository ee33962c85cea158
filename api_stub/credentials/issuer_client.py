"""Request JSON from the trusted issuer: with a short timeout, no redirects, no proxies from the environment."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx2
import structlog

from api_stub.credentials.issuer_claims import IssuerUnreachable
from api_stub.credentials.issuer_slots import IN_ALL
from delivery.logs.rare_lines import RareLines

ANSWER_LIMIT_BYTES = 256 * 1024

_log = structlog.get_logger()


class IssuerClient:
    """An HTTP client. A response takes at most `timeout_s` in all and has at most 256 KiB."""

    def __init__(self, timeout_s: float, *, client_id: str = "", client_secret: str = "") -> None:
        self._timeout_s = timeout_s
        self._unreachable = RareLines()
        self._client = httpx2.AsyncClient(
            auth=httpx2.BasicAuth(client_id, client_secret) if client_id else None,
            timeout=timeout_s,
            limits=httpx2.Limits(max_connections=IN_ALL),
            follow_redirects=False,
            trust_env=False,
        )

    async def get(self, url: str) -> Mapping[str, Any]:
        """Get a JSON object. Raises `IssuerUnreachable`."""
        return await self._request("GET", url, None)

    async def post(self, url: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        """Post a form and get a JSON object. Raises `IssuerUnreachable`."""
        return await self._request("POST", url, form)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _request(self, method: str, url: str, form: Mapping[str, str] | None) -> Mapping[str, Any]:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._client.stream(method, url, data=form, headers=headers) as response,
            ):
                return await _read(response)
        except (httpx2.HTTPError, TimeoutError, ValueError, RecursionError) as error:
            name = type(error).__name__
            self._unreachable.log(_log.warning, "issuer_unreachable", key=name, error=name)
            raise IssuerUnreachable from error


async def _read(response: httpx2.Response) -> Mapping[str, Any]:
    if response.status_code != 200:
        raise ValueError(f"the issuer answered {response.status_code}")
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > ANSWER_LIMIT_BYTES:
            raise ValueError("the issuer's answer is too long")
    content = json.loads(body)
    if not isinstance(content, dict):
        raise ValueError("the issuer's answer is not a JSON object")  # noqa: TRY004 - about the content, not a type
    return content
