"""Nothing ends because nobody reads what it says any more."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_a_process_whose_reader_has_left_ends_with_its_own_exit_code() -> None:
    program = (
        "import sys; from loadtest.standard_output import outlast_readers; outlast_readers();"
        "[print('a line', number, flush=number % 2 == 0) for number in range(10_000)]; sys.exit(11)"
    )
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (11, "")


def test_what_is_read_is_whole() -> None:
    program = (
        "from loadtest.standard_output import outlast_readers; outlast_readers();"
        "import sys; print('said', sys.stdout.isatty(), flush=True); sys.stdout.buffer.write(b'as bytes')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "said False\nas bytes"
