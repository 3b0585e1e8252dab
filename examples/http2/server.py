"""Pages over HTTP/2 without TLS, by prior knowledge.

Started by `python examples/http2/server.py PORT`.
"""

import asyncio
import sys
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config


async def page(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer every request with a page that names the protocol it came by."""
    del receive
    if scope["type"] == "http":
        text = f"HTTP/{scope['http_version']} {scope['path']}".encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": text})


if __name__ == "__main__":
    config = Config()
    config.bind = [f"127.0.0.1:{sys.argv[1]}"]
    asyncio.run(serve(page, config))  # type: ignore[arg-type]  # its own types of scopes
