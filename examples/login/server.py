"""A service with logins: a token is good for two seconds.

Started by `python examples/login/server.py PORT`.
"""

import secrets
import sys
import time

from aiohttp import web

TOKEN_S = 2
ends: dict[str, float] = {}


async def log_in(request: web.Request) -> web.Response:
    """Give a token to who knows the password."""
    login = await request.json()
    if login.get("password") != f"made-up-{login.get('name')}":
        return web.json_response({"title": "wrong password"}, status=401)
    token = secrets.token_hex(8)
    ends[token] = time.monotonic() + TOKEN_S
    return web.json_response({"token": token, "expires_in": TOKEN_S})


async def account(request: web.Request) -> web.Response:
    """Show the account of a token that has not ended."""
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if ends.get(token, 0) < time.monotonic():
        return web.json_response({"title": "the token has ended"}, status=401)
    return web.json_response({"points": 7})


if __name__ == "__main__":
    app = web.Application()
    app.router.add_post("/login", log_in)
    app.router.add_get("/account", account)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
