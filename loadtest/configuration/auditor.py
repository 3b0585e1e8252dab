"""The class that audits runs at somebody's own target, named by a plan or `--auditor`: when it counts, and its check.

Nothing here imports Locust: `singlesday` asks before it starts anything, and Locust patches whoever imports it.
"""

from loadtest.configuration.config_error import ConfigError
from loadtest.configuration.run_config import RunConfig, Source
from loadtest.run_audit import AuditorError, check_auditor


def with_plans_auditor(config: RunConfig) -> RunConfig:
    """The configuration with the class that its plan names, unless a class or a store was asked for."""
    if config.auditor is not None or config.plan.auditor is None or "audit_store" in config.sources:
        return config
    named = Source("file", f"{config.plan_name}: auditor")
    return config.but(auditor=config.plan.auditor, sources=config.sources | {"auditor": named})


def check_class(config: RunConfig) -> None:
    """Raise `ConfigError` unless the class, if there is one, can audit, and the target is somebody's own."""
    if config.auditor is None:
        return
    named = config.named("auditor")
    if config.needs_service or config.service is not None:
        raise ConfigError(
            "auditor",
            f"{named}: expected together with --target; the order service's database is audited without it",
        )
    try:
        check_auditor(config.auditor, config.plan_file)
    except AuditorError as error:
        raise ConfigError("auditor", f"{named}: {error}") from error
