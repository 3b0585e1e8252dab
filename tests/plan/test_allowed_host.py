"""Hosts that may be loaded: every way to write one is read, and what names no host is refused in a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.plan.allowed_host import AllowedHost, allowed_host, allowed_rate, host_key
from loadtest.plan.plan_error import PlanError

LABELS = st.from_regex(r"[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,10}[a-zA-Z0-9_])?", fullmatch=True)
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
HOSTS = NAMES | st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(lambda address: f"[{address}]")
PORTS = st.none() | st.integers(1, 65535)
FORMS = st.sampled_from(["{}", " {} ", "http://{}", "https://{}/", "HTTP://{}", "{}/"])


@given(HOSTS, PORTS, FORMS)
def test_a_host_is_read_in_every_form(host: str, port: int | None, form: str) -> None:
    written = form.format(host if port is None else f"{host}:{port}")
    entry = allowed_host(written)
    assert entry == AllowedHost(host_key(host.strip("[]")), port)
    assert entry.covers(host.strip("[]").upper(), port)
    assert entry.covers(host.strip("[]"), 8080) == (port in {None, 8080})


def read(text: str) -> AllowedHost | str:
    """The host, or why it is none."""
    try:
        return allowed_host(text)
    except PlanError as error:
        return str(error)


@given(st.text(max_size=40))
def test_any_text_is_a_host_or_one_sentence(text: str) -> None:
    entry = read(text)
    if isinstance(entry, str):
        assert len(entry.splitlines()) == 1
    else:
        assert entry.host
        assert not set(entry.host) & set("*/?#@[], ")
        assert entry.port is None or 0 < entry.port < 65536


@given(HOSTS, st.sampled_from(["{}:0", "{}:65536", "{}:", "{}:http", "{}:-1", "{}:80:80"]))
def test_a_port_that_is_none_is_refused(host: str, form: str) -> None:
    with pytest.raises(PlanError, match="expected"):
        allowed_host(form.format(host))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected a host such as"),
        ("*", "a wildcard allows hosts that nobody has named"),
        ("*.example", "a wildcard"),
        ("http://*:8080", "a wildcard"),
        ("10.0.0.0/8", "a network"),
        ("http://web/orders", "without the path"),
        ("web?x=1", "without the path"),
        ("http://user:secret@web", "without user and password"),
        ("ftp://web", "or an http or https URL"),
        ("a,b", "expected a host"),
        ("a b", "expected a host"),
        ("http://[::1", "expected a host"),
        ("a..b", "expected a host"),
        ("x" * 5000, "expected a host"),
    ],
)
def test_what_names_no_host_is_refused(text: str, expected: str) -> None:
    with pytest.raises(PlanError, match=f"^--allow-host: .*{expected}") as refused:
        allowed_host(text, "--allow-host")
    assert "secret" not in str(refused.value)
    assert len(str(refused.value)) < 500


def test_the_lowest_rate_that_covers_a_port_counts() -> None:
    listed = [(allowed_host("web"), 100.0), (allowed_host("web:81"), 10.0), (allowed_host("web:82"), 1000.0)]
    assert [allowed_rate(listed, "web", port) for port in (80, 81, 82, None)] == [100.0, 10.0, 100.0, 10.0]
    assert allowed_rate(listed, "other", 80) is None
