"""What an orchestrator asks."""

from time import monotonic

from target_service import problem
from target_service.api.operation import ApiRequest, Operation, Service
from target_service.problem import ProblemError
from target_service.response import ApiResponse, json_response
from target_service.schema import Health

FRESH_S = 1.0
"""How long one durable change of any client proves that the store takes more."""


def is_proved(service: Service) -> bool:
    """Whether any change became durable so lately that the store can be trusted to take more."""
    return monotonic() - service.metrics.pulse.proved_s <= FRESH_S


def operations(service: Service) -> list[Operation]:
    """What an orchestrator can ask."""

    async def get_health(_request: ApiRequest) -> ApiResponse:
        """Whether the process is alive."""
        return json_response(Health("alive"))

    async def get_readiness(_request: ApiRequest) -> ApiResponse:
        """Whether the service can take orders: its store can be written, and it is not stopping."""
        if service.draining:
            raise ProblemError(problem.UNAVAILABLE, "the service is stopping")
        if not is_proved(service):
            await service.store.ping()
        return json_response(Health("ready"))

    return [
        Operation("GET", "/healthz", get_health, Health),
        Operation("GET", "/readyz", get_readiness, Health),
    ]
