"""Requests as lines of each format of access logs, exactly as its program writes them by default."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0"


class Logged(NamedTuple):
    """One request as a log has it."""

    at_s: float
    method: str
    target: str
    client: str = "203.0.113.7"
    status: int = 200


def _at(at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)


def combined(one: Logged) -> str:
    """nginx' `combined`, and Apache's."""
    time = _at(one.at_s).strftime("%d/%b/%Y:%H:%M:%S +0000")
    return (
        f'{one.client} - - [{time}] "{one.method} {one.target} HTTP/1.1" {one.status} 153 '
        f'"https://shop.example.com/" "{AGENT}"'
    )


def apache(one: Logged) -> str:
    """Apache's, of somebody who has logged in, with a quote in the browser's name."""
    time = _at(one.at_s + 8 * 3600).strftime("%d/%b/%Y:%H:%M:%S +0800")
    return (
        f'{one.client} - jane [{time}] "{one.method} {one.target} HTTP/2.0" {one.status} - '
        f'"-" "curl \\"quoted\\" agent"'
    )


def nginx_json(one: Logged) -> str:
    """A usual `log_format … escape=json`."""
    return json.dumps(
        {
            "time_iso8601": _at(one.at_s).strftime("%Y-%m-%dT%H:%M:%S+00:00"),
            "remote_addr": one.client,
            "request": f"{one.method} {one.target} HTTP/1.1",
            "status": str(one.status),
            "body_bytes_sent": "153",
            "request_time": "0.004",
            "http_user_agent": AGENT,
        }
    )


def envoy(one: Logged) -> str:
    """Envoy's default format string."""
    time = _at(one.at_s).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return (
        f'[{time}] "{one.method} {one.target} HTTP/1.1" {one.status} - 0 153 4 3 "{one.client}" "{AGENT}" '
        f'"cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "shop.example.com" "10.0.2.1:80"'
    )


def envoy_json(one: Logged) -> str:
    """Envoy's default JSON."""
    return json.dumps(
        {
            "start_time": _at(one.at_s).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "method": one.method,
            "path": one.target,
            "protocol": "HTTP/1.1",
            "response_code": one.status,
            "x-forwarded-for": one.client,
            "duration": 4,
        }
    )


def alb(one: Logged) -> str:
    """An application load balancer's access log entry."""
    time = _at(one.at_s).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return (
        f"https {time} app/shop/50dc6c495c0c9188 {one.client}:2817 10.0.0.1:80 0.086 0.048 0.037 {one.status} "
        f'{one.status} 0 57 "{one.method} https://shop.example.com:443{one.target} HTTP/1.1" "{AGENT}" '
        "ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/shop/73e2 "
        f'"Root=1-58337281-1d84f3d73c47ec4e58577259" "shop.example.com" "-" 1 {time} "forward" "-" "-" '
        f'"10.0.0.1:80" "{one.status}" "-" "-"'
    )


def cloudflare(one: Logged) -> str:
    """A line of Logpush's HTTP requests, with its default instants."""
    return json.dumps(
        {
            "ClientIP": one.client,
            "ClientRequestHost": "shop.example.com",
            "ClientRequestMethod": one.method,
            "ClientRequestURI": one.target,
            "EdgeEndTimestamp": _at(one.at_s).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "EdgeResponseBytes": 153,
            "EdgeResponseStatus": one.status,
            "EdgeStartTimestamp": int(one.at_s * 1e9),
            "RayID": "3a6050bcbe121a87",
        }
    )


def traefik_json(one: Logged) -> str:
    """Traefik's access log with `format: json`."""
    time = _at(one.at_s).strftime("%Y-%m-%dT%H:%M:%S.%f") + "123Z"
    return json.dumps(
        {
            "ClientAddr": f"{one.client}:51234",
            "ClientHost": one.client,
            "DownstreamContentSize": 153,
            "DownstreamStatus": one.status,
            "Duration": 4081234,
            "OriginStatus": one.status,
            "RequestHost": "shop.example.com",
            "RequestMethod": one.method,
            "RequestPath": one.target,
            "RequestProtocol": "HTTP/1.1",
            "RouterName": "shop@docker",
            "StartUTC": time,
            "entryPointName": "web",
            "level": "info",
            "msg": "",
            "time": time[:19] + "Z",
        }
    )


def caddy(one: Logged) -> str:
    """Caddy's access log, as it is by default."""
    return json.dumps(
        {
            "level": "info",
            "ts": one.at_s,
            "logger": "http.log.access.log0",
            "msg": "handled request",
            "request": {
                "remote_ip": one.client,
                "remote_port": "41342",
                "client_ip": one.client,
                "proto": "HTTP/2.0",
                "method": one.method,
                "host": "shop.example.com",
                "uri": one.target,
                "headers": {"User-Agent": [AGENT], "Accept": ["*/*"]},
                "tls": {"resumed": False, "version": 772},
            },
            "bytes_read": 0,
            "duration": 0.004,
            "size": 153,
            "status": one.status,
            "resp_headers": {"Server": ["Caddy"]},
        }
    )


def haproxy(one: Logged) -> str:
    """HAProxy's `option httplog`, as syslog keeps it, with a header captured."""
    at = _at(one.at_s)
    return (
        f"{at.strftime('%b %e %H:%M:%S')} edge haproxy[1742]: {one.client}:41342 "
        f"[{at.strftime('%d/%b/%Y:%H:%M:%S.%f')[:-3]}] https~ shop/app1 0/0/1/3/4 {one.status} 153 - - ---- "
        f'12/11/3/1/0 0/0 {{shop.example.com}} "{one.method} {one.target} HTTP/1.1"'
    )


LINES: dict[str, Callable[[Logged], str]] = {
    "combined": combined,
    "apache": apache,
    "nginx-json": nginx_json,
    "envoy": envoy,
    "envoy-json": envoy_json,
    "alb": alb,
    "cloudflare": cloudflare,
    "traefik-json": traefik_json,
    "caddy": caddy,
    "haproxy": haproxy,
}
"""By the name of the format; Apache's is combined too."""
