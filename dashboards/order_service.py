"""Order service: rate, errors and duration of each route, and what happens behind them. Live and shadow apart."""

from dashboards.spec import ANY_RUNS_PHASES, TRAFFIC, Dashboard, Kind, Panel, Query, Unit


def _rate(metric: str, by: str, chosen: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{{{chosen}}}[$__rate_interval]))"


def _quantile(quantile: str, metric: str, by: str = "le", chosen: str = "") -> str:
    """A quantile by buckets; `>= 0` leaves out what saw nothing, which would be NaN."""
    return f"histogram_quantile({quantile}, {_rate(metric + '_bucket', by, chosen)}) >= 0"


def _mean(metric: str) -> str:
    return f"(sum(rate({metric}_sum[$__rate_interval])) / sum(rate({metric}_count[$__rate_interval]))) >= 0"


CHOSEN = 'traffic=~"$traffic"'

ROUTES = (
    Panel("Requests", "Requests a second by route and traffic.",
          (Query(_rate("orders_request_seconds_count", "route, traffic", CHOSEN) + " > 0", "{{route}} {{traffic}}"),),
          Unit.PER_S, width=8),
    Panel("Rejections", "Answers with an error a second, by reason and traffic: the six most frequent.",
          (Query(f"topk(6, {_rate('orders_rejected_total', 'reason, traffic', CHOSEN)})",
                 "{{reason}} {{traffic}}"),),
          Unit.PER_S, width=8),
    Panel("Duration, p99", "From a request's head to its response, inside the service; by buckets.",
          (Query(_quantile("0.99", "orders_request_seconds", "le, route, traffic", CHOSEN),
                 "{{route}} {{traffic}}", exemplars=True),),
          Unit.SECONDS, width=8),
    Panel("Durations of all requests", "Requests by how long they took inside the service, with the newest trace "
          "of each bucket.",
          (Query(f"sum by (le) (increase(orders_request_seconds_bucket{{{CHOSEN}}}[$__rate_interval]))",
                 "{{le}}", exemplars=True),),
          Unit.SECONDS, Kind.HEATMAP, width=24),
)  # fmt: skip

ORDERS = (
    Panel("Orders made durable", "Created a second; shadow traffic never touches live stock.",
          (Query(_rate("orders_created_total", "traffic", CHOSEN), "{{traffic}}"),), Unit.ORDERS_PER_S, width=8),
    Panel("Replays", "Repeated requests that were given their first answer.",
          (Query(_rate("orders_replayed_total", "traffic", CHOSEN), "{{traffic}}"),), Unit.PER_S, width=8),
    Panel("Sold out", "Orders refused for want of stock.",
          (Query(_rate("orders_rejected_total", "traffic", f'{CHOSEN},reason="sold-out"'), "{{traffic}}"),),
          Unit.PER_S, width=8),
    Panel("Commits", "Batches made durable a second.",
          (Query("sum(rate(orders_commit_seconds_count[$__rate_interval]))", "commits"),), Unit.PER_S, width=8),
    Panel("Batch size", "Changes made durable together: grows with load, which is why the service keeps up.",
          (Query(_mean("orders_commit_batch_size"), "mean"),
           Query(_quantile("0.99", "orders_commit_batch_size"), "p99")),
          Unit.COUNT, width=8),
    Panel("Commit time", "Time to make one batch durable.",
          (Query(_mean("orders_commit_seconds"), "mean"),
           Query(_quantile("0.99", "orders_commit_seconds"), "p99")),
          Unit.SECONDS, width=8),
)  # fmt: skip

HEALTH = (
    Panel("In flight", "Requests being worked on.", (Query("sum(orders_in_flight)", "in flight"),),
          Unit.COUNT, width=8),
    Panel("Shed", "Requests refused at once because too much was under way.",
          (Query("sum(rate(orders_shed_total[$__rate_interval]))", "shed"),), Unit.PER_S, width=8),
    Panel("Store errors", "Times the store failed or did not answer.",
          (Query("sum(rate(orders_store_errors_total[$__rate_interval]))", "errors"),), Unit.PER_S, width=8),
    Panel("Event-loop lag, p99", "How late a timer of a worker's event loop is.",
          (Query(_quantile("0.99", "orders_event_loop_lag_seconds"), "p99"),), Unit.SECONDS),
    Panel("Worker restarts", "Workers started again after a crash, since the service began.",
          (Query("sum(orders_worker_restarts_total)", "restarts"),), Unit.COUNT),
)  # fmt: skip

DASHBOARD = Dashboard(
    uid="singlesday-order-service",
    title="Order service",
    description="The service under load, from inside.",
    variables=(TRAFFIC,),
    annotations=(ANY_RUNS_PHASES,),
    rows=(("Routes", ROUTES), ("Orders", ORDERS), ("Health", HEALTH)),
)
