"""The client's benchmark: requests per CPU-second of load generators against one sink, in one run."""

from benchmarks.client.run import run

__all__ = ["run"]
