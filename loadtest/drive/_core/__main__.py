"""`python -m loadtest.drive._core`: says which core there is and, where it is not native, how to get that."""

from loadtest.drive._core import CORE, WHY_PURE

if __name__ == "__main__":
    if CORE == "native":
        print("The client's core is native.")  # noqa: T201 - what it is for
    else:
        print(  # noqa: T201
            f"The client's core is pure Python: {WHY_PURE}.\n"
            "All works, at half to a third of the speed. For the native one install a C compiler and Python's\n"
            "headers (packages gcc and python3-dev on Debian), and run: touch setup.py && make setup"
        )
