"""`Http2User` says what is not HTTP/2, and keeps to the allowed hosts. What it does right: the example `http2`."""

from typing import Any

import pytest
from locust.env import Environment

from loadtest import Http2User
from loadtest.drive.errors import HostNotAllowed
from loadtest.testing import ScriptedServer, ServedConnection, response_bytes


class Visitor(Http2User):
    timeout_s = 5.0


def in_http1(connection: ServedConnection) -> None:
    connection.send(response_bytes(b"yes"))


def test_an_answer_by_http1_is_a_failure_and_raises_nothing() -> None:
    environment, told = Environment(), list[dict[str, Any]]()
    environment.events.request.add_listener(lambda **event: told.append(event))
    with ScriptedServer(in_http1) as server:
        Visitor.host = server.url
        client = Visitor(environment).client
        response = client.get("/page?1", name="/page")
        client.close()
    assert response.status_code == 0
    assert [(event["request_type"], event["name"]) for event in told] == [("GET", "/page")]
    assert told[0]["exception"] is not None


def test_a_host_that_nobody_allowed_is_refused_before_any_connection() -> None:
    Visitor.host = "https://shop.invalid"
    with pytest.raises(HostNotAllowed):
        Visitor(Environment())


def test_a_whole_url_leads_to_no_host_that_nobody_allowed() -> None:
    environment, told = Environment(), list[dict[str, Any]]()
    environment.events.request.add_listener(lambda **event: told.append(event))
    Visitor.host = "https://127.0.0.1:1"
    client = Visitor(environment).client
    response = client.get("https://shop.invalid/page")
    client.close()
    assert response.status_code == 0
    assert isinstance(told[0]["exception"], HostNotAllowed)
