"""The sink all generators send to: nginx answering from memory, the cheapest server at hand.

A sink has to be so much faster than the generators that it never makes them wait for long; nginx takes
about 8 us of its own core for a request. It answers `/order` with a 63-byte JSON document and `/page` with
4 KB.
"""

import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

ORDER = '{"order_id":"0123456789","status":"created","total_cents":1999}'

_CONFIGURATION = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log crit;
events {{ worker_connections 20000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; default_type application/json;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  ssl_certificate {folder}/certificate.pem; ssl_certificate_key {folder}/key.pem;
  server {{
    listen 127.0.0.1:{port} backlog=4096; listen 127.0.0.1:{tls_port} ssl backlog=4096;
    location = /order {{ return 200 '{order}'; }}
    location = /page {{ set $kilobyte '{kilobyte}'; return 200 $kilobyte$kilobyte$kilobyte$kilobyte; }}
  }}
}}
"""


class Sink:
    """A running nginx, for a with-block, its files in `folder`. Raises `FileNotFoundError` without nginx."""

    def __init__(self, folder: Path) -> None:
        nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
        if nginx is None:
            raise FileNotFoundError(
                "the client benchmark needs nginx as its sink; install the package nginx-light"
            )
        self._command = [nginx, "-p", str(folder), "-c", str(folder / "nginx.conf")]
        self._folder = folder
        self._port, self._tls_port = _free_ports()
        self.url = f"http://127.0.0.1:{self._port}"
        self.tls_url = f"https://127.0.0.1:{self._tls_port}"

    def url_for(self, journey: str) -> str:
        """Where a journey's requests go."""
        return self.tls_url if journey == "tls" else self.url

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        make_certificate(self._folder)
        text = _CONFIGURATION.format(
            folder=self._folder, port=self._port, tls_port=self._tls_port, order=ORDER, kilobyte="k" * 1024
        )
        (self._folder / "nginx.conf").write_text(text)
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        self._await_answer()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(timeout=10)

    def _await_answer(self) -> None:
        give_up_s = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except OSError:
                if time.monotonic() > give_up_s or self._process.poll() is not None:
                    raise
                time.sleep(0.05)
            else:
                return


def make_certificate(folder: Path) -> None:
    """Write a self-signed certificate for 127.0.0.1 (certificate.pem, key.pem), with the openssl command."""
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run(
        ["openssl", "req", "-x509", "-days", "2", *key, *names, *files], check=True, capture_output=True
    )


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]
