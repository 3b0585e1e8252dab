"""Locust, as `singlesday` starts it: `python -m loadtest.locust_process` is `python -m locust`, sooner there."""

from loadtest.entry_points import entry_points_read_once
from loadtest.standard_output import outlast_readers

with entry_points_read_once():
    from locust.main import main

if __name__ == "__main__":
    outlast_readers()
    main()
