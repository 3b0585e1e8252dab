"""What an orchestrator asks, at either port."""

from target_service import problem
from target_service.api.operation import ApiRequest, Operation, Service
from target_service.problem import STOPPING, ProblemError
from target_service.response import ApiResponse, json_response
from target_service.schema import Health

ALIVE, READY = json_response(Health("alive")), json_response(Health("ready"))


def operations(service: Service) -> list[Operation]:
    """What an orchestrator can ask."""

    async def get_health(_request: ApiRequest) -> ApiResponse:
        """Whether the process is alive."""
        return ALIVE

    async def get_readiness(_request: ApiRequest) -> ApiResponse:
        """Whether the service can take orders: its store can be written, and it is not stopping."""
        if service.draining:
            raise ProblemError(problem.UNAVAILABLE, STOPPING)
        if not service.is_proved():
            await service.prove()
        return READY

    return [
        Operation("GET", "/healthz", get_health, Health),
        Operation("GET", "/readyz", get_readiness, Health),
    ]
