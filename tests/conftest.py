"""What holds for every test: this process stays as Python made it.

Locust patches sockets, threads and time for gevent when it is imported. The test process needs real threads
(it runs servers in them), so the import happens here, once, without the patching. The variable is gone again
before any test starts a process of its own: those are patched, as they are for users.
"""

import os

os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"
import locust  # noqa: F401 - for the effect

del os.environ["LOCUST_SKIP_MONKEY_PATCH"]


def pytest_runtest_setup() -> None:
    """A module that sets the variable when it is imported would hang every Locust that a later test starts."""
    assert "LOCUST_SKIP_MONKEY_PATCH" not in os.environ, "some test module left this set"
