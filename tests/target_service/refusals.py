"""What a rule of the shop's says no to."""

import contextlib
from collections.abc import Iterator

import pytest

from target_service.problem import Kind, ProblemError


@contextlib.contextmanager
def refused(kind: Kind, match: str | None = None) -> Iterator[None]:
    """What is done within is refused with a problem of this kind, whose detail has these words."""
    with pytest.raises(ProblemError, match=match) as raised:
        yield
    assert raised.value.kind is kind


def kind_of(answer: object) -> Kind | None:
    """The kind of problem that was answered; None if it is none."""
    return answer.kind if isinstance(answer, ProblemError) else None
