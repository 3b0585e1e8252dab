"""Zipf's law: item k of n is wanted in proportion to 1 / k**theta.

Drawn by inverting the continuous approximation of the distribution (Gray et al., "Quickly Generating
Billion-Record Synthetic Databases", SIGMOD 1994, is the usual source; here the simpler inverse of the integral
of x**-theta over [1/2, n + 1/2]), which costs one power and no table of n entries.
"""

from random import Random


class ZipfSampler:
    """Draws integers 1..n with Zipf's skew `theta` (> 0, not 1)."""

    def __init__(self, n: int, theta: float, random: Random) -> None:
        if n < 1 or theta <= 0 or theta == 1:
            raise ValueError(f"expected n >= 1 and theta > 0 other than 1, got n={n}, theta={theta}")
        self._random = random.random
        self._exponent = 1.0 - theta
        self._low = 0.5**self._exponent
        self._span = (n + 0.5) ** self._exponent - self._low
        self._inverse = 1.0 / self._exponent
        self._n = n

    def draw(self) -> int:
        """An item's rank, from 1, the most wanted, to n."""
        x = (self._low + self._random() * self._span) ** self._inverse
        return min(max(int(x + 0.5), 1), self._n)
