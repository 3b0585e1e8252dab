"""What the tests of the client share: a session with a list of its outcomes."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from locust import User
from locust.env import Environment

from loadtest.drive.agent import SessionSettings
from loadtest.drive.recorder import Recorder, recorder_for
from loadtest.drive.session import Session
from loadtest.records import Outcome
from tests.drive.arrival_runs import Run, Start

MakeSession = Callable[..., Session]


@pytest.fixture
def environment() -> Iterator[Environment]:
    made = Environment()
    yield made
    recorder_for(made).close()


@pytest.fixture
def recorder(environment: Environment) -> Recorder:
    return recorder_for(environment)


@pytest.fixture
def outcomes(recorder: Recorder) -> list[Outcome]:
    """Every outcome recorded, in order."""
    noted: list[Outcome] = []
    recorder.sink = noted.append
    return noted


@pytest.fixture
def session_to(recorder: Recorder) -> Iterator[MakeSession]:
    """Makes a session for a base URL; keywords are settings."""
    made: list[Session] = []

    def make(url: str, **settings: Any) -> Session:
        session = Session(url, recorder, None, SessionSettings(**{"network_timeout": 60.0, **settings}))
        made.append(session)
        return session

    yield make
    for session in made:
        session.close()


@pytest.fixture
def refusing_port() -> Iterator[int]:
    """A port of loopback at which nobody listens, and nobody else can: it is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def run() -> Iterator[Start]:
    made: list[Run] = []

    def factory(user_class: type[User], offsets: list[int]) -> Run:
        made.append(Run(user_class, offsets))
        return made[-1]

    yield factory
    for each in made:
        each.close()
