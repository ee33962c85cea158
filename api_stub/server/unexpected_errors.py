"""Return an unexpected exception as a 500 in the form of every other error, without its text."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_stub.server.errors import answer_defect


class UnexpectedErrors:
    """ASGI middleware inside `RequestIds`. Starlette's own handler runs outside of it, and raises the error again."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI defines it
        has_begun = False

        async def note_begin(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, note_begin)
        except Exception as error:
            if scope["type"] != "http" or has_begun:
                raise
            await answer_defect(scope, error)(scope, receive, send)
