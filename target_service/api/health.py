"""What an orchestrator asks."""

from time import monotonic

from target_service import problem
from target_service.api.operation import ApiRequest, Operation, Service
from target_service.problem import ProblemError
from target_service.response import ApiResponse, json_response
from target_service.schema import Health

FRESH_S = 1.0
"""How long one durable change of any client proves that the store takes more."""


def operations(service: Service) -> list[Operation]:
    """What an orchestrator can ask."""
    health = HealthHandlers(service)
    return [
        Operation("GET", "/healthz", "getHealth", "other", "Is the process alive", health.alive, Health),
        Operation("GET", "/readyz", "getReadiness", "other", "Can it serve", health.ready, Health),
    ]


def is_proved(service: Service) -> bool:
    """Whether any change became durable so lately that the store can be trusted to take more."""
    return monotonic() - service.metrics.pulse.proved_s <= FRESH_S


class HealthHandlers:
    """Alive, and ready."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def alive(self, _request: ApiRequest) -> ApiResponse:
        """`GET /healthz`: the process runs."""
        return json_response(Health("alive"))

    async def ready(self, _request: ApiRequest) -> ApiResponse:
        """`GET /readyz`: the store has just made something durable, or does so now, and this is not about to stop."""
        if self._service.draining:
            raise ProblemError(problem.UNAVAILABLE, "the service is stopping")
        if not is_proved(self._service):
            await self._service.store.ping()
        return json_response(Health("ready"))
