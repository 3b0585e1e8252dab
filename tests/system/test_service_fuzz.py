"""The whole API under requests made up from its own description, and under bodies bent out of shape."""

from collections.abc import Iterator

import pytest

from tests.target_service.fuzz_drill import fuzz
from tests.target_service.service_process import Service, running

MUTATIONS = 1000


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("fuzz"), "--body-deadline-s", "60", "--idle-s", "60") as started:
        yield started
        assert "Traceback" not in started.log.read_text()


@pytest.mark.slow(held_by="test_bodies_bent_out_of_shape_are_refused_and_never_break_anything")
@pytest.mark.filterwarnings("ignore")  # schemathesis and its own dependencies warn of themselves
def test_requests_made_from_the_description_get_described_answers(service: Service) -> None:
    from tests.system import described_requests  # noqa: PLC0415 - a long import, which no other test needs

    description = service.ask("GET", "/openapi.json").json
    # The stream of tokens is no JSON document.
    del description["paths"]["/assistant/messages"]
    assert described_requests.exercise(description, service.url) == 12


def test_bodies_bent_out_of_shape_are_refused_and_never_break_anything(service: Service) -> None:
    assert set(fuzz(service, MUTATIONS)) == {201, 400, 422}
