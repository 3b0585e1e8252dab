"""What this package is called where packages are published, and which release of it runs."""

DISTRIBUTION = "singlesday-loadtest"
"""Not `singlesday`, as the command is called: on PyPI that name is another project's."""


def release() -> str:
    """The installed release, such as `0.2.0`."""
    from importlib.metadata import version  # noqa: PLC0415 - rarely asked for, and slow to import

    return version(DISTRIBUTION)


def installs(extra: str) -> str:
    """The command that adds what an extra of ours needs."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"
