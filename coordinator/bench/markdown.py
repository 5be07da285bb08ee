"""The rows that matter as Markdown tables, and all below them: for the README and docs/benchmarks.md."""

from collections.abc import Iterable, Mapping, Sequence

from .report import AnyRow, CountRow, MemoryRow, MissingRow, Row, as_table

_CROWDS = (1, 10, 50)
_YARDSTICK = "bare ZeroMQ"
#: How the state travels, and what the names of its rows end in.
_WAYS = {
    "sharedline, decoded and shown": "",
    "NATS": "_nats",
    "Redis": "_redis",
    "a browser's tabs by SharedWorker": "_shared_worker",
}
_TOLD = {
    "action_to_state": "an action, until its window shows the new state",
    "actions_per_second": "64 actions at a time, for each of them",
    "kill_to_synced_3": "leader killed, until the last of 3 windows shows the next one's state",
    "kill_to_synced_10": "the same, of 10 windows",
    "kill_to_synced_50": "the same, of 50 windows",
    "kill_to_registered": "leader killed, until the service has registered the next one",
    "answer_to_200": "answer pressed in a window, until the service has the 200",
    "invite_read_written": "an INVITE of 2.4 KB read and written",
    "mouth_to_ear": "mouth to ear, through two sound devices and a call",
    "calls_25_loop_lag": "25 calls with Opus on one processor: the event loop is late by",
    "window_rss_mb": "memory of a window without sound",
}


def as_markdown(rows: Sequence[AnyRow]) -> str:
    """Return the tables of the README, and the complete one as code."""
    known = {row.name: row for row in rows}
    return "\n\n".join([_fanout(known), _told(known), f"```\n{as_table(rows)}\n```"])


def _fanout(rows: Mapping[str, AnyRow]) -> str:
    lines = ["| a new state at the last of | 1 | 10 | 50 windows |", "|---|---|---|---|"]
    for way, end in _WAYS.items():
        lines.append(_line(way, (_way(rows[f"fanout_{crowd}{end}"]) for crowd in _CROWDS)))
    yardstick = (_yardstick(rows[f"fanout_{crowd}"]) for crowd in _CROWDS)
    return "\n".join([*lines, _line(f"{_YARDSTICK}, the yardstick", yardstick)])


def _told(rows: Mapping[str, AnyRow]) -> str:
    lines = ["| | p50 | p99 | next to |", "|---|---|---|---|"]
    lines += [_line(words, _cells(rows[name])) for name, words in _TOLD.items()]
    return "\n".join(lines)


def _line(first: str, cells: Iterable[str]) -> str:
    return "| " + " | ".join([first, *cells]) + " |"


def _way(row: AnyRow) -> str:
    if isinstance(row, Row):
        return f"{_time(row.p50_us)} ({_times(row.ratio or 0.0)})"
    return row.missing if isinstance(row, MissingRow) else ""


def _yardstick(row: AnyRow) -> str:
    return _time(row.against_p50_us or 0.0) if isinstance(row, Row) else ""


def _cells(row: AnyRow) -> tuple[str, str, str]:
    match row:
        case Row():
            return _time(row.p50_us), _time(row.p99_us), _next_to(row)
        case MemoryRow():
            return f"{row.mb:.1f} MiB", "", ""
        case CountRow():
            return f"{row.count:g}", "", ""
        case MissingRow():
            return row.missing, "", ""


def _next_to(row: Row) -> str:
    if row.ratio is None or row.against_p50_us is None:
        return ""
    # A ratio of rates is turned round: in this table it is how many times longer.
    ratio = 1 / row.ratio if row.is_rate else row.ratio
    return f"{_times(ratio)} {row.against} ({_time(row.against_p50_us)})"


def _time(us: float) -> str:
    if us < 100:
        return f"{us:.1f} µs"
    if us < 1_000:
        return f"{us:.0f} µs"
    return f"{us / 1_000:.1f} ms" if us < 100_000 else f"{us / 1_000:.0f} ms"


def _times(ratio: float) -> str:
    return f"{ratio:.2g}x" if ratio < 10 else f"{ratio:.0f}x"
