"""The formats of access logs, each as columns: second, request, status, client.

Formats of text have the request in the first quotes, so a line is cut at its quotes once, by polars, a batch at a
time, and only the pieces that are needed are cut again. In quotes a quote is escaped (nginx: `\\x22`, Apache:
`\\"`), and what comes after the request and its status is not looked at, so an escaped quote in a browser's name
breaks nothing. Lines of JSON are read by msgspec, a batch at once, and only the fields that a format knows; where one
line of a batch is broken, glued to another or torn, the batch is read again line by line, and each counts for one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from loadtest.importing.log_time import whole_seconds

if TYPE_CHECKING:
    import polars as pl

COLUMNS = ("second", "request", "status", "client")
"""All text. `request` is `GET /path HTTP/1.1`; `second` is as the log has it, cut to whole seconds."""
_BLANK = re.compile(rb"\n\s*(?=\n)")
_VHOST = r"^\S+ [0-9a-fA-F.:]*[.:][0-9a-fA-F.:]* \S+ \S+ \["
_PIECES = ("head", "request", "tail")
_AGENT = "sixth"
_AGENTS = ("http_user_agent", "user_agent", "ClientRequestUserAgent")
INSIDE = ">"
"""Between the name of an object and that of a field in it."""
_ANONYMOUS = ("-", "")
_BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What a line of JSON may raise; the last where it is nested too deeply."""
_fields_of = msgspec.json.Decoder(dict[str, Any]).decode
_LOOKED_AT = 64
"""Lines of a batch whose fields are looked for before it is read; one that lacks what these have is no matter."""


class Who(NamedTuple):
    """What of a line tells clients apart, besides the address."""

    agent: bool = False
    """The browser, so that those behind one address are several."""
    field: str | None = None
    """A field of JSON lines in place of both."""


BY_ADDRESS = Who()
NOBODY: Final = None
"""Where nobody asks whose a request is, which is then not looked for."""


class LogFormat(NamedTuple):
    """One format by its name."""

    name: str
    example: str
    """The beginning of a line, for errors."""
    rows: Callable[[bytes, Who | None], pl.DataFrame]
    """Whole lines to a frame of `COLUMNS`, a row for each line that is not blank; what is not there is null."""
    fields: Fields | None = None
    """What the fields of lines of JSON are called, of which one may tell who is who."""


class Fields(NamedTuple):
    """What the fields of one format's lines are called; of several names the first that a line has counts."""

    time: tuple[str, ...]
    method: tuple[str, ...]
    target: tuple[str, ...]
    status: tuple[str, ...]
    address: tuple[str, ...]
    query: tuple[str, ...] = ()
    """Without its question mark, of a target that has none."""
    request: tuple[str, ...] = ()
    """Method, target and protocol in one, which counts before them, since it is what was asked for."""

    def wanted(self, who: Who | None) -> set[str]:
        """All names that may be looked at."""
        names = {*self.time, *self.method, *self.target, *self.query, *self.status, *self.request}
        if who is not None:
            names |= {who.field} if who.field else {*self.address, *(_AGENTS if who.agent else ())}
        return names


NGINX = Fields(
    time=("time_iso8601", "time_local", "msec", "time", "timestamp"),
    method=("request_method", "method"),
    target=("request_uri", "uri"),
    query=("args", "query_string"),
    status=("status",),
    address=("remote_addr", "remote_ip"),
    request=("request",),
)
"""Names that nginx's variables have in `log_format … escape=json`; whoever writes one may call them otherwise."""
ENVOY = Fields(
    time=("start_time",),
    method=("method",),
    target=("path",),
    status=("response_code",),
    address=("x-forwarded-for", "downstream_remote_address"),
)
CLOUDFLARE = Fields(
    time=("EdgeStartTimestamp",),
    method=("ClientRequestMethod",),
    target=("ClientRequestURI", "ClientRequestPath"),
    status=("EdgeResponseStatus",),
    address=("ClientIP",),
)

TRAEFIK = Fields(
    time=("StartUTC", "time", "StartLocal"),
    method=("RequestMethod",),
    target=("RequestPath",),
    status=("DownstreamStatus", "OriginStatus"),
    address=("ClientHost", "ClientAddr"),
)
CADDY = Fields(
    time=("ts",),
    method=("request>method",),
    target=("request>uri",),
    status=("status",),
    address=("request>client_ip", "request>remote_ip"),
)
"""As Caddy itself names what is in another object."""


def _cut(data: bytes, *more: str) -> pl.DataFrame:
    """Lines cut at their quotes into the first three pieces, and `more`; blank lines are left out."""
    lines = b'head"request"tail"fourth"fifth"sixth"rest\n' + data
    pieces = _at_quotes(lines, more)
    if pieces["request"].null_count() and _BLANK.search(lines):
        return _at_quotes(_BLANK.sub(b"", lines), more)
    return pieces


def _at_quotes(lines: bytes, more: Sequence[str]) -> pl.DataFrame:
    import polars as pl  # noqa: PLC0415 - the extra `import`; and nobody else needs it

    return pl.read_csv(
        lines,
        separator='"',
        quote_char=None,
        infer_schema=False,
        truncate_ragged_lines=True,
        encoding="utf8-lossy",
        columns=[*_PIECES, *more],
    )


def _word(column: str, number: int) -> pl.Expr:
    """The `number`-th of the words of a column, from 0."""
    import polars as pl  # noqa: PLC0415

    return pl.col(column).str.splitn(" ", number + 2).struct.field(f"field_{number}")


def _client(address: pl.Expr, who: Who | None, agent: str) -> tuple[pl.Expr, tuple[str, ...]]:
    """Who a line is of, and the column that has to be cut for it."""
    import polars as pl  # noqa: PLC0415

    if who is None:
        return pl.lit(None, pl.String), ()
    if not who.agent:
        return address, ()
    return pl.concat_str(address, pl.col(agent).fill_null(""), separator=" "), (agent,)


def _status() -> pl.Expr:
    import polars as pl  # noqa: PLC0415

    return pl.col("tail").str.slice(1, 3).alias("status")


def _combined(data: bytes, who: Who | None) -> pl.DataFrame:
    """`1.2.3.4 - - [10/Nov/2025:23:59:59 +0800] "GET / HTTP/1.1" 200 …`; the zone goes with the second.

    Apache's `vhost_combined` has the host before it.
    """
    import polars as pl  # noqa: PLC0415

    head = pl.col("head")
    address = pl.when(head.str.contains(_VHOST)).then(_word("head", 1)).otherwise(_word("head", 0))
    client, more = _client(address, who, _AGENT)
    pieces = _cut(data, *more)
    time = head.str.slice(-28, 26)  # half the work of looking for the bracket
    if not pieces["head"].str.ends_with("] ").all():
        bracketed = head.str.splitn("[", 2).struct.field("field_1").str.head(26)
        time = pl.when(head.str.ends_with("] ")).then(time).otherwise(bracketed)
    return pieces.select(second=time, request="request", status=_status(), client=client)


def _envoy(data: bytes, who: Who | None) -> pl.DataFrame:
    """`[2025-11-10T23:59:59.310Z] "GET / HTTP/1.1" 200 - 0 …  "1.2.3.4" …`, Envoy's default."""
    import polars as pl  # noqa: PLC0415

    client, more = _client(pl.col("fourth"), who, _AGENT)
    time = pl.col("head").str.slice(1, 19) + "Z"
    return _cut(data, "fourth", *more).select(second=time, request="request", status=_status(), client=client)


def _alb(data: bytes, who: Who | None) -> pl.DataFrame:
    """`https 2025-11-10T23:59:59.186641Z app/… 1.2.3.4:2817 … 200 200 34 366 "GET https://shop:443/ HTTP/1.1" …`."""
    import polars as pl  # noqa: PLC0415

    client, more = _client(_word("head", 3).str.replace(":[0-9]+$", ""), who, "fourth")
    return _cut(data, *more).select(
        second=_word("head", 1).str.head(19) + "Z",
        request=pl.col("request").str.replace("^([A-Z]+) [a-z]+://[^/? ]*", "$1 "),
        status=_word("head", 8),
        client=client,
    )


def _haproxy(data: bytes, who: Who | None) -> pl.DataFrame:
    """`… 1.2.3.4:41342 [10/Nov/2025:23:59:59.310] https~ shop/app1 0/0/1/3/4 200 … "GET / HTTP/1.1"`.

    What `option httplog` writes. Its instants have no zone; they are taken for UTC.
    """
    import polars as pl  # noqa: PLC0415

    head = pl.col("head")
    address, _ = _client(head.str.extract(r"(\S+):\d+ \[\d\d/", 1), who and who._replace(agent=False), "")
    return _cut(data).select(
        second=head.str.extract(r"\[(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d)\.\d+\] ", 1) + " +0000",
        request="request",
        status=head.str.extract(r"\] \S+ \S+ [0-9/+-]+ (\d{3}) ", 1),
        client=address,
    )


def _json_lines(fields: Fields) -> Callable[[bytes, Who | None], pl.DataFrame]:
    def rows(data: bytes, who: Who | None) -> pl.DataFrame:
        wanted = fields.wanted(who)
        names = _names_in(data, wanted) | ({who.field} if who and who.field else set())
        for some in (names or wanted, wanted):
            read, broken = _Lines(some).read(data)
            found = _columns(read, fields, who)
            if (found["second"].is_null() | found["request"].is_null()).sum() == broken:
                break  # no line lacks a field that is looked for by another name
        return found

    return rows


def _names_in(data: bytes, wanted: set[str]) -> set[str]:
    """Which names some lines have that lie evenly in a batch; fewer fields are read quicker."""
    names: set[str] = set()
    for number in range(_LOOKED_AT):
        begin = data.find(b"\n", len(data) * number // _LOOKED_AT) + 1 if number else 0
        try:
            line = _fields_of(data[begin : data.find(b"\n", begin) + 1 or None])
        except _BROKEN:
            continue
        names.update(name for name in wanted if name.partition(INSIDE)[0] in line)
    return names


def _is_one_a_line(data: bytes, objects: int) -> bool:
    """Whether some objects are a line each: to msgspec one may lie over two lines, and two may share one.

    No object has a `}` and then a `{` in it with only an end of line between them. Of blank lines it says no.
    """
    ends = data.count(b"\n") - data.endswith(b"\n")
    return objects == ends + 1 and data.count(b"}\n{") == ends


class _Lines:
    """Reads fields of lines of JSON into columns of text that are called as they are."""

    def __init__(self, names: set[str]) -> None:
        self._names = sorted(names)
        outer = sorted({name.partition(INSIDE)[0] for name in names})
        self._places = {name: f"field_{number}" for number, name in enumerate(outer)}
        kind = msgspec.defstruct(
            "Line",
            [(place, Any, msgspec.field(default=None, name=name)) for name, place in self._places.items()],
            gc=False,
        )
        self._decoder = msgspec.json.Decoder(kind)
        self._nothing = kind()

    def read(self, data: bytes) -> tuple[pl.DataFrame, int]:
        """All lines, and how many of them are broken: those have nothing in any column."""
        with suppress(*_BROKEN):
            lines = self._decoder.decode_lines(data)
            if _is_one_a_line(data, len(lines)):
                return self._frame(lines), 0
        lines = [self._one(line) for line in data.split(b"\n") if line and not line.isspace()]
        return self._frame(lines), sum(line is self._nothing for line in lines)

    def _one(self, line: bytes) -> Any:
        for text in (line, line.decode("utf-8", "replace")):  # bytes that are no UTF-8 break no line
            try:
                return self._decoder.decode(text)
            except _BROKEN:
                continue
        return self._nothing

    def _frame(self, lines: Sequence[Any]) -> pl.DataFrame:
        import polars as pl  # noqa: PLC0415

        return pl.DataFrame([_text(name, self._values(name, lines)) for name in self._names])

    def _values(self, name: str, lines: Sequence[Any]) -> list[Any]:
        outer, _, inner = name.partition(INSIDE)
        values = list(map(attrgetter(self._places[outer]), lines))
        return (
            [value.get(inner) if isinstance(value, dict) else None for value in values] if inner else values
        )


def _text(name: str, values: Sequence[Any]) -> pl.Series:
    """A column as text, whatever stands in it."""
    import polars as pl  # noqa: PLC0415

    is_plain = {str, type(None)}.issuperset(map(type, values))
    return pl.Series(name, values if is_plain else list(map(_written, values)), pl.String)


def _written(value: Any) -> str | None:
    """A value as text; None where it is nested too deeply, or a number of more digits than Python writes."""
    try:
        return None if value is None else str(value)
    except (RecursionError, ValueError):
        return None


def _columns(read: pl.DataFrame, fields: Fields, who: Who | None) -> pl.DataFrame:
    """Each of `COLUMNS`: for each line, the first of the fields that may hold it that is there and not empty."""
    import polars as pl  # noqa: PLC0415

    def first(names: Iterable[str]) -> pl.Expr:
        there = [pl.col(name) for name in names if name in read.columns]
        return pl.coalesce([*(pl.when(one != "").then(one) for one in there), pl.lit(None, pl.String)])

    whole = first(fields.request)
    target = pl.coalesce(pl.when(whole.str.starts_with("/")).then(whole), first(fields.target))
    query = pl.when(~target.str.contains("?", literal=True)).then("?" + first(fields.query)).fill_null("")
    parts = pl.concat_str(first(fields.method), target + query, pl.lit("HTTP"), separator=" ")
    if who is None:
        client = pl.lit(None, pl.String)
    elif who.field is not None:
        client = pl.when(~pl.col(who.field).is_in(_ANONYMOUS)).then(pl.col(who.field))
    else:
        client = first(fields.address)
        if who.agent:
            client = pl.concat_str(client, first(_AGENTS).fill_null(""), separator=" ")
    columns = read.with_columns(
        second=first(fields.time),
        request=pl.when(whole.str.contains(" ", literal=True)).then(whole).otherwise(parts),
        status=first(fields.status),
        client=client,
    ).select(COLUMNS)
    return columns.with_columns(whole_seconds(columns["second"]))


FORMATS = {
    each.name: each
    for each in (
        LogFormat("combined", '1.2.3.4 - - [10/Nov/2025:23:59:59 +0000] "GET / HTTP/1.1" 200', _combined),
        LogFormat(
            "nginx-json",
            '{"time_iso8601": …, "request": …, "status": …}',
            _json_lines(NGINX),
            NGINX,
        ),
        LogFormat("envoy", '[2025-11-10T23:59:59.310Z] "GET / HTTP/1.1" 200', _envoy),
        LogFormat(
            "envoy-json",
            '{"start_time": …, "method": …, "path": …}',
            _json_lines(ENVOY),
            ENVOY,
        ),
        LogFormat("alb", "https 2025-11-10T23:59:59.186641Z app/shop/50dc 1.2.3.4:2817", _alb),
        LogFormat(
            "cloudflare",
            '{"EdgeStartTimestamp": …, "ClientRequestMethod": …}',
            _json_lines(CLOUDFLARE),
            CLOUDFLARE,
        ),
        LogFormat(
            "traefik-json",
            '{"StartUTC": …, "RequestMethod": …, "RequestPath": …}',
            _json_lines(TRAEFIK),
            TRAEFIK,
        ),
        LogFormat("caddy", '{"ts": …, "request": {"method": …, "uri": …}}', _json_lines(CADDY), CADDY),
        LogFormat(
            "haproxy", "1.2.3.4:41342 [10/Nov/2025:23:59:59.310] https~ shop/app1 0/0/1/3/4 200", _haproxy
        ),
    )
}
"""The formats by their names."""
