"""Hosts of a network of their own: Linux network namespaces on a bridge, made and removed by a test.

Each host has an address, a process has no way out of its host but the bridge, and a link can be cut, healed and
slowed. The bridge has a namespace too, so nothing of the machine's own network is touched.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import psutil
import pytest

SLOW = (
    ["netem", "delay", "40ms", "10ms"],
    ["tbf", "rate", "256kbit", "burst", "3000", "latency", "400ms"],
)
"""Ways to slow a link, the better one first; a kernel may have neither."""
Process = subprocess.Popen[bytes]


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def link_of(host: str) -> str:
    """The hub's end of a host's link; a bare name may be one of the words that `ip` knows."""
    return f"to-{host}"


class Network:
    """Hosts by name, and what runs on them."""

    def __init__(self, addresses: dict[str, str]) -> None:
        self._tag = f"sd{os.getpid()}"
        self._hub = f"{self._tag}-hub"
        self.processes: list[Process] = []
        self.namespaces = [self._hub, *(f"{self._tag}-{host}" for host in addresses)]
        try:
            self._make(addresses)
        except BaseException:
            self.close()
            raise

    def _make(self, addresses: dict[str, str]) -> None:
        ip("netns", "add", self._hub)
        ip("-n", self._hub, "link", "add", "br0", "type", "bridge")
        ip("-n", self._hub, "link", "set", "br0", "up")
        for host, address in addresses.items():
            self._add(host, address)

    def _add(self, host: str, address: str) -> None:
        name = f"{self._tag}-{host}"
        ip("netns", "add", name)
        link = link_of(host)
        ip(
            "-n",
            self._hub,
            "link",
            "add",
            "name",
            link,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            name,
        )
        ip("-n", self._hub, "link", "set", "dev", link, "master", "br0", "up")
        ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            ip("-n", name, "link", "set", device, "up")

    def start(
        self, host: str, command: Sequence[str], folder: Path, out: "IO[bytes] | int", **environment: str
    ) -> Process:
        """Start a program on a host; it gets the process's number, since `ip netns exec` makes way for it."""
        words = ["ip", "netns", "exec", f"{self._tag}-{host}", *command]
        process = subprocess.Popen(
            words,
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=os.environ | environment,
        )
        self.processes.append(process)
        return process

    def cut(self, host: str) -> None:
        ip("-n", self._hub, "link", "set", "dev", link_of(host), "down")

    def heal(self, host: str) -> None:
        ip("-n", self._hub, "link", "set", "dev", link_of(host), "up")

    def slow(self, host: str) -> bool:
        """Slow both ways of a host's link; whether this kernel can."""
        for words in SLOW:
            ways = ([self._hub, link_of(host)], [f"{self._tag}-{host}", "eth0"])
            done = [
                subprocess.run(
                    ["ip", "netns", "exec", space, "tc", "qdisc", "add", "dev", device, "root", *words],
                    capture_output=True,
                ).returncode
                for space, device in ways
            ]
            if done == [0, 0]:
                return True
        return False

    def left_running(self) -> list[str]:
        """Commands of processes that are still on one of the hosts."""
        found = []
        for process in self._left():
            with contextlib.suppress(psutil.Error):
                found.append(" ".join(process.cmdline()))
        return found

    def _left(self) -> list[psutil.Process]:
        found = []
        for name in self.namespaces:
            listed = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout
            for pid in listed.split():
                with contextlib.suppress(psutil.Error):
                    found.append(psutil.Process(int(pid)))
        return found

    def close(self) -> None:
        """End what runs, and take the network away."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        for left in self._left():
            with contextlib.suppress(psutil.Error):
                left.kill()
        for name in self.namespaces:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


@contextlib.contextmanager
def network(addresses: dict[str, str]) -> Iterator[Network]:
    """A network of hosts; skips the test, saying why, where none can be made."""
    if shutil.which("ip") is None:
        pytest.skip("ip (iproute2) is not on the path")
    if os.geteuid() != 0:
        pytest.skip("making network namespaces takes root")
    made = None
    try:
        made = Network(addresses)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
    try:
        yield made
    finally:
        made.close()
