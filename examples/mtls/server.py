"""A service that takes orders only from who shows a certificate of its authority.

Started by `python examples/mtls/server.py PORT FOLDER`.

It draws an authority, a certificate for itself and one for a client, and leaves in FOLDER what the client needs:
`authority.pem` and `client.pem` (key and certificate).
"""

import ssl
import sys
from pathlib import Path

import trustme
from aiohttp import web


async def order(_: web.Request) -> web.Response:
    """Accept an order."""
    return web.json_response({"order_id": "1"}, status=201)


def demanding_certificates(folder: Path) -> ssl.SSLContext:
    """TLS with the server's own certificate, for clients that have one of the same authority."""
    authority = trustme.CA()
    folder.mkdir(parents=True, exist_ok=True)
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    authority.issue_cert("partner@shop.example").private_key_and_cert_chain_pem.write_to_path(
        str(folder / "client.pem")
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


if __name__ == "__main__":
    app = web.Application()
    app.router.add_post("/partners/orders", order)
    context = demanding_certificates(Path(sys.argv[2]))
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), ssl_context=context, print=None)
