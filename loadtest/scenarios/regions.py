"""The 29 regions of the shop's cloud: where its buyers are, and how far away.

Names are those of public documents (S[60] of docs/traffic.md, "Regions"; Wuhan and Mexico are likely, unsourced). A
region's share of the orders is assumed, and so is how it is split within its part of the world; the round trip to the
service, in Hangzhou, is assumed too, from distances (A; 2 ms within a region is S[63]).

The harness stands next to the service it loads, its buyers do not: `travel` waits a region's round trip before a
request is sent. So the response time, which counts from the planned instant, contains the way, as the buyer sees it;
the service time, which counts from the first byte sent, does not. The handshakes of a buyer's own connection are left
out: connections are kept.
"""

import time
from random import Random
from typing import NamedTuple

import gevent

from loadtest.drive.user import FastHttpUser


class Region(NamedTuple):
    """One region of the cloud."""

    name: str
    part: str
    """Of the world, as the shares of orders are told: east, south, north and west China, overseas."""
    weight: float
    """Its share of the orders, in per cent (A)."""
    rtt_ms: float
    """The round trip to Hangzhou (A)."""


REGIONS = (
    Region("hangzhou", "east", 14, 2),
    Region("shanghai", "east", 16, 5),
    Region("nanjing", "east", 9, 7),
    Region("fuzhou", "east", 6, 12),
    Region("shenzhen", "south", 10, 28),
    Region("guangzhou", "south", 11, 28),
    Region("heyuan", "south", 4, 29),
    Region("beijing", "north", 9, 28),
    Region("qingdao", "north", 5, 18),
    Region("zhangjiakou", "north", 2, 30),
    Region("hohhot", "north", 1, 34),
    Region("ulanqab", "north", 1, 33),
    Region("chengdu", "west", 6, 36),
    Region("wuhan", "west", 4, 16),
    Region("hong-kong", "overseas", 0.4, 35),
    Region("singapore", "overseas", 0.3, 70),
    Region("tokyo", "overseas", 0.2, 50),
    Region("seoul", "overseas", 0.15, 45),
    Region("kuala-lumpur", "overseas", 0.15, 75),
    Region("silicon-valley", "overseas", 0.15, 145),
    Region("jakarta", "overseas", 0.1, 85),
    Region("manila", "overseas", 0.1, 55),
    Region("bangkok", "overseas", 0.1, 65),
    Region("virginia", "overseas", 0.1, 220),
    Region("frankfurt", "overseas", 0.05, 210),
    Region("london", "overseas", 0.05, 215),
    Region("dubai", "overseas", 0.05, 150),
    Region("riyadh", "overseas", 0.05, 160),
    Region("mexico", "overseas", 0.05, 190),
)
_WEIGHTS = [region.weight for region in REGIONS]


def somewhere(random: Random) -> Region:
    """A region, as often as its share of the orders says."""
    (region,) = random.choices(REGIONS, _WEIGHTS)
    return region


def travel(user: FastHttpUser, region: Region) -> None:
    """Wait the way from `region` to the service and back, before the user's next request.

    That request's response time counts from before the wait; its service time does not.
    """
    client = user.client
    if client.intended_ns is None:  # not the arrival's first request, which counts from the planned instant
        client.intended_ns = time.monotonic_ns()
    gevent.sleep(region.rtt_ms / 1000)
