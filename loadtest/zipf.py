"""Zipf's law: item k of n is wanted in proportion to 1 / k**theta.

Drawn by rejection-inversion (Hörmann and Derflinger, "Rejection-inversion to generate variates from monotone
discrete distributions", ACM TOMACS 1996): the integral of x**-theta is inverted, and what it gives too often is drawn
again. Exact, no table of n entries, and hardly any draw is rejected.
"""

from random import Random


class ZipfSampler:
    """Draws integers 1..n with Zipf's skew `theta` (> 0, not 1)."""

    def __init__(self, n: int, theta: float, random: Random) -> None:
        if n < 1 or theta <= 0 or theta == 1:
            raise ValueError(f"expected n >= 1 and theta > 0 other than 1, got n={n}, theta={theta}")
        self._random = random.random
        self._n, self._theta = n, theta
        self._exponent = 1.0 - theta
        self._inverse = 1.0 / self._exponent
        self._first = self._integral(1.5) - 1.0
        self._span = self._integral(n + 0.5) - self._first
        at_2 = self._exponent * (self._integral(2.5) - 2.0**-theta)
        self._near = 2.0 - at_2**self._inverse
        """Whatever lies so close above an integer's lower half is never drawn too often."""

    def draw(self) -> int:
        """An item's rank, from 1, the most wanted, to n."""
        while True:
            area = self._first + self._random() * self._span
            x = (self._exponent * area) ** self._inverse
            rank = min(max(int(x + 0.5), 1), self._n)
            if rank - x <= self._near or area >= self._integral(rank + 0.5) - rank**-self._theta:
                return rank

    def _integral(self, x: float) -> float:
        """Of x**-theta, but for a constant."""
        return float(x**self._exponent) * self._inverse
