"""The status of an answer, for what stands around an application and measures it."""

from __future__ import annotations

from starlette.types import Message, Send


class StatusSeen:
    """Hands the messages of an answer on, and keeps its status.

    Parameters
    ----------
    send : callable
        Where the messages go.

    Attributes
    ----------
    status : int
        Of the answer; 500 before it begins, and where the application raises instead.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 500

    async def __call__(self, message: Message) -> None:
        """Hand one message on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)
