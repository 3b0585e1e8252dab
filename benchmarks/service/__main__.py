"""`python -m benchmarks.service`: `benchmarks.service.run`, or with `effects` first `benchmarks.service.effects`."""

import sys

from benchmarks.service import effects, run

if sys.argv[1:2] == ["effects"]:
    del sys.argv[1]
    effects.main()
else:
    run.main()
