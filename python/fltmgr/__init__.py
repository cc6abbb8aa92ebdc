"""The application's end of Filter Manager communication ports: receive what a filter asks, and answer.

>>> with fltmgr.connect(r"\\ScannerPort") as port:
...     for message in port:
...         message.reply(b"\\x01")

Every call that fails raises Error, with the status that Windows would give.
"""

import asyncio

from ._fltmgr import Connection as _Connection
from ._fltmgr import Error, Message

__all__ = ["Connection", "Error", "Message", "connect"]

#: The end of the connection, as Error.status has it.
_DISCONNECTED = 0xC0000037


class Connection(_Connection):
    """A connection to a port. Use it as a context manager; iterating gives messages until the filter ends it, in asyncio with
    `async for`. Threads may share it."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return self.recv()
        except Error as error:
            if error.status == _DISCONNECTED:
                raise StopIteration from None
            raise

    async def recv_async(self):
        """Waits for a message without blocking the event loop."""
        loop, descriptor = asyncio.get_running_loop(), self.fileno()
        while (message := self.recv(0)) is None:
            readable = loop.create_future()
            loop.add_reader(descriptor, lambda: readable.done() or readable.set_result(None))
            try:
                await readable
            finally:
                loop.remove_reader(descriptor)
        return message

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return await self.recv_async()
        except Error as error:
            if error.status == _DISCONNECTED:
                raise StopAsyncIteration from None
            raise


def connect(name, context=b""):
    """Connects to the port called `name` ("\\\\ScannerPort"). The filter is called with `context`, and may refuse."""
    return Connection(name, context)
