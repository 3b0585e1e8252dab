"""Importing the plugin imports Locust, which must not patch the sockets of the other tests."""

import os

os.environ.setdefault("LOCUST_SKIP_MONKEY_PATCH", "1")
