"""Token times → figures. Pure functions that page, command line and benchmark share.

Times are nanoseconds of `time.perf_counter_ns`, one clock for all processes of a machine on Linux
and Windows. Definitions follow MLPerf Client: TTFT ends at the first token, the decode rate counts
the n − 1 intervals after it. A figure that is unknown is None, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import quantiles

from playground.runs.figures import Timings

MS = 1e6
S = 1e9
LIVE_WINDOW_NS = 1_000_000_000
# Ids arrive in batches of 30 ms: a last token that is newer than this is not a pause.
FRESH_NS = 200_000_000


def timings(t0: int | None, t_in: int | None, times: Sequence[int]) -> Timings:
    """The figures of one answer.

    t0: when the prompt was submitted; t_in: when the worker had the ids; times: of each token.
    """
    tps = decode_tps(times)
    p50, p95 = itl_percentiles(times) if tps is not None else (None, None)
    return Timings(
        ttft_ms=ttft_ms(t_in, times),
        ttft_user_ms=ttft_ms(t0, times),
        decode_tps=tps,
        tpot_ms=None if tps is None else 1000 / tps,
        itl_p50_ms=p50,
        itl_p95_ms=p95,
    )


def ttft_ms(begin: int | None, times: Sequence[int]) -> float | None:
    """Time to first token, counted from `begin`."""
    return (times[0] - begin) / MS if times and begin is not None else None


def decode_tps(times: Sequence[int]) -> float | None:
    """Tokens per second after the first: (n − 1) / (t_n − t_1)."""
    if len(times) < 2 or times[-1] <= times[0]:
        return None
    return (len(times) - 1) * S / (times[-1] - times[0])


def itl_percentiles(times: Sequence[int]) -> tuple[float | None, float | None]:
    """p50 and p95 of the inter-token latency in ms, interpolated linearly."""
    gaps = [(b - a) / MS for a, b in zip(times, times[1:], strict=False)]
    if not gaps:
        return None, None
    if len(gaps) == 1:
        return gaps[0], gaps[0]
    cuts = quantiles(gaps, n=20, method="inclusive")
    return cuts[9], cuts[18]


def live_tps(times: Sequence[int], now: int) -> float | None:
    """Tokens per second over the last second; falls to 0 in a pause."""
    if len(times) < 2:
        return None
    end = times[-1] if now - times[-1] < FRESH_NS else now
    first = len(times) - 1
    while first > 0 and times[first] > end - LIVE_WINDOW_NS:
        first -= 1
    span = end - max(times[first], end - 2 * LIVE_WINDOW_NS)
    return (len(times) - 1 - first) * S / span if span > 0 else None


def bandwidth_gbs(read_bytes: int | None, tps: float | None) -> float | None:
    """GB/s of weights that decoding reads from memory.

    read_bytes: of the weights that each token reads once, without an embedding table, of which a
    token reads a single row.
    """
    if read_bytes is None or tps is None:
        return None
    return read_bytes * tps / 1e9


def j_per_token(energy_j: float | None, new_tokens: int) -> float | None:
    """Energy of a whole answer, prefill included, divided by its tokens."""
    return None if energy_j is None or not new_tokens else energy_j / new_tokens
