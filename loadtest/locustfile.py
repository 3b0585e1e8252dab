"""The Singles' Day shop for plain Locust: `locust -f loadtest/locustfile.py` and open the web UI.

Nothing here but names: the plugin makes users serve a plan's arrivals, the scenarios say what they send.
"""

from loadtest.plugin import use_plan
from loadtest.scenarios.shop import OrderOnly, OrderStatus, ProductPage

__all__ = ["OrderOnly", "OrderStatus", "ProductPage"]

use_plan("singles-day")
