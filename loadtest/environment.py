"""The environment variables, the exit code and the signal by which the processes of a run know each other.

They stand apart from the code that acts on them because `singlesday run`, which sets them, must not import Locust:
that takes a second, and patches `ssl` under whoever has imported it before.
"""

import signal

ALLOW_HOSTS_VARIABLE = "LOADTEST_ALLOW_HOSTS"
"""Hosts beyond loopback that may be loaded, separated by commas: see `drive.targets`."""
TOKEN_VARIABLE = "LOADTEST_TOKEN"  # noqa: S105 - its name
"""The secret that master and workers share: see `fleet.run_token`."""
SERVICE_TOKEN_VARIABLE = "LOADTEST_SERVICE_TOKEN"  # noqa: S105 - its name
"""The token of the admin port of the order service that `singlesday` started: faults are told there."""
STORE_VARIABLE = "LOADTEST_AUDIT_STORE"
"""Where the orders of a run are looked up when it is over: see `run_audit`."""
PLAN_FOLDER_VARIABLE = "LOADTEST_PLAN_FOLDER"
"""Where `singlesday worker` has put the plan's files on this machine."""
RUNS_FOLDER_VARIABLE = "LOADTEST_RUNS_FOLDER"
"""Where it has its workers keep what they write of a run."""
MASTER_LOST = 75
"""The exit code of a worker process whose master is gone without a word: another process may join the run when it is
resumed. As EX_TEMPFAIL of sysexits.h, it asks to be tried again."""
CTRL_C = signal.SIGUSR1
"""How `singlesday` tells its master of Ctrl-C. SIGINT would end a master that is still starting with a traceback."""
