"""The admin port, served by the supervisor alone: `/metrics`, health, and `/admin/*` behind a token.

Nothing here asks a worker anything, so no scrape and no probe ever waits for one or stalls one: however busy they
are, an orchestrator hears how they fare. Their pulse in the shared memory says that their store takes changes.
"""

import time
from collections.abc import Callable

from target_service import problem
from target_service.api import health
from target_service.api.operation import ApiRequest, Operation, Service
from target_service.config import Config, is_loopback
from target_service.faults import Drill, Faults
from target_service.metrics import SharedMetrics, WorkerMetrics
from target_service.metrics_page import MetricsPage, registry_of
from target_service.problem import ProblemError
from target_service.response import ApiResponse, json_response
from target_service.routes import Api
from target_service.shedding import LEAST_LIMIT, AdaptiveLimit

PROVED_WITHIN_S = 6.0
"""Workers whose store is idle have it make something durable every two seconds (`worker.PROOF_S`)."""
MOST_CONNECTIONS = 500
"""At the admin port."""


def admin_api(config: Config, metrics: SharedMetrics, set_drill: Callable[[Drill], None]) -> Api:
    """What the admin port answers."""

    async def get_config(_request: ApiRequest) -> ApiResponse:
        """The settings, without secrets."""
        return json_response(config.without_secrets())

    async def put_faults(request: ApiRequest) -> ApiResponse:
        """Replace the drill by the one in the body."""
        if not config.enable_faults:
            raise ProblemError(problem.FORBIDDEN, "faults are off: start the service with --enable-faults")
        set_drill(request.wanted)
        return json_response(request.wanted)

    def is_proved() -> bool:
        newest_s = max(block.proved_s.value for block in metrics.blocks)
        return time.monotonic() - newest_s <= PROVED_WITHIN_S

    async def prove() -> None:
        raise ProblemError(
            problem.UNAVAILABLE, f"no worker has written to the store in the last {PROVED_WITHIN_S:g} s"
        )

    # What is asked here is no order: no scrape shows it.
    own = WorkerMetrics(SharedMetrics.create(1).blocks[0])
    limit = AdaptiveLimit(LEAST_LIMIT, time.monotonic_ns)
    faults = Faults(0, time.monotonic_ns, own.fault_met)
    service = Service(own, limit, faults, prove, is_proved, config.admin_token)
    page = MetricsPage(registry_of(metrics.blocks))
    needs_token = not is_loopback(config.admin_host)
    drill = Drill if config.enable_faults else None
    table = [
        Operation("GET", "/metrics", page.serve, str, for_operators=needs_token),
        *health.operations(service),
        Operation("GET", "/admin/config", get_config, dict, for_operators=True),
        Operation("PUT", "/admin/faults", put_faults, Drill, drill, for_operators=True, any_type=True),
    ]
    return Api(service, table, config.body_deadline_s)
