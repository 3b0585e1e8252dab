"""Wires the harness into Locust's events: importing this package from a locustfile is all it takes.

What happens in which process, in the order of a run:

    command line   options are added, the plan's modules imported; ports and the web UI default to loopback
    init           a configuration is built and checked; what cannot be played ends the process, exit 2
    first tick     the leader prepares a `LedRun` and sizes the pool
    test_start     workers get the configuration in Locust's options; each makes a `WorkerRun`
    …              leader and workers talk through `fleet.transport`; Locust only keeps users alive
    test_stopping  whatever ended the test, the result is delivered first
    quitting       the verdict becomes the exit code
"""

from loadtest.plugin.early_end import end_early_with_a_sentence

end_early_with_a_sentence()  # before what follows, which takes a second to import

from loadtest.plugin.wiring import install, use_plan  # noqa: E402

__all__ = ["install", "use_plan"]

install()
