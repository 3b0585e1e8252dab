"""Wires the harness into Locust's events: importing this package from a locustfile is all it takes.

What happens in which process, in the order of a run:

    command line   options are added; ports and the web UI default to loopback
    init           a plan that cannot be played ends the process, exit 2, before any traffic
    first tick     the master (or single process) prepares a `MasterRun` and sizes the pool
    test_start     the plan travels to the workers in Locust's options; each makes a `WorkerRun`
    …              master and workers talk through `fleet.transport`; Locust only keeps users alive
    test_stopping  whatever ended the test, the master delivers the result first
    quitting       the verdict becomes the exit code
"""

from loadtest.plugin.wiring import install, use_plan

__all__ = ["install", "use_plan"]

install()
