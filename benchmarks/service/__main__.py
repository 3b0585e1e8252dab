"""`python -m benchmarks.service`: see `benchmarks.service.run`."""

from benchmarks.service.run import main

main()
