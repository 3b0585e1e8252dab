"""Streams five events a tenth of a second apart, as `text/event-stream`.

Started by `python examples/sse/server.py PORT`.
"""

import asyncio
import sys

from aiohttp import web


async def events(request: web.Request) -> web.StreamResponse:
    """The states of an order, then the end."""
    stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await stream.prepare(request)
    for state in ("created", "paid", "packed", "sent", "done"):
        await stream.write(f"event: state\ndata: {state}\n\n".encode())
        await asyncio.sleep(0.1)
    return stream


if __name__ == "__main__":
    app = web.Application()
    app.router.add_get("/orders/1/events", events)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
