"""What a change is refused with when a rule of the shop's forbids it: raised before anything is written."""


class Refusal(Exception):  # noqa: N818 - it is no failure
    """A rule forbids the change; the others of its batch are made."""
