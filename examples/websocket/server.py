"""A chat of one: what is said comes back.

Started by `python examples/websocket/server.py PORT`.
"""

import sys

from aiohttp import web


async def chat(request: web.Request) -> web.WebSocketResponse:
    """Send back every message, as JSON with its number."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_json({"said": message.data})
    return socket


if __name__ == "__main__":
    app = web.Application()
    app.router.add_get("/chat", chat)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
