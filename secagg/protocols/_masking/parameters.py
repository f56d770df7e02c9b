"""How many neighbours a client needs, and how many shares must be needed to open a secret.

The analysis is that of Bell, Bonawitz, Gascón, Lepoint and Raykova, "Secure Single-Server
Aggregation with (Poly)Logarithmic Overhead", CCS 2020. A graph is acceptable when three events are
unlikely, over the random order of the clients on the ring:

* *disconnection*: the corrupt and the dropped clients cut the honest rest in two, so that the
  server learns two sums instead of one;
* *exposure*: some client has so many corrupt neighbours that they, with what the server may ask of
  the honest ones, open its secrets;
* *loss*: some client has so few surviving neighbours that its secret cannot be rebuilt and the
  round fails.

The first two share the budget 2**-sigma, the third has 2**-eta. Everything here is computed with
integers, so nothing rests on rounding: a fraction is given exactly and a float is refused.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import ceil, comb, floor
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from secagg.errors import ParameterError

Server: TypeAlias = Literal["curious", "split_view_server", "malicious"]
"""What the server may do.

`split_view_server` only asks different neighbours of one client for different secrets. That is a
number for the regression tables and no guarantee: such a server can still tell every client its
own list of survivors. No plan offers it.
"""

Variant: TypeAlias = Literal["secagg", "fcp"]
"""`fcp` is the rule of Google's federated-compute library, kept to compare with its tables."""

Rational: TypeAlias = str | Decimal | int | Fraction

LARGEST_COHORT: Final = 10**9
SMALLEST_SPARSE_COHORT: Final = 50
LARGEST_DEGREE: Final = 1 << 14
"""The search ends here: it takes seconds, and a client cannot want more neighbours."""

LARGEST_EXPONENT: Final = 256
_EXACT: Final = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20}|/[1-9][0-9]{0,19})?")
_FCP_LIMIT: Final = Fraction(9, 10)


class GraphParameters(NamedTuple):
    """The graph to draw and the threshold of the secret sharing over each closed neighbourhood.

    Attributes:
        degree: neighbours of a client, itself not counted.
        threshold: shares that open a secret, of degree + 1.
        complete: everybody is everybody's neighbour; there is nothing to draw.
        corrupt: clients that may collude with the server.
        dropped: clients that may be missing at the end.
        corrupt_neighbours: no client has more corrupt neighbours than this, but with the
            probability granted to exposure.

    """

    degree: int
    threshold: int
    complete: bool
    corrupt: int
    dropped: int
    corrupt_neighbours: int


class _Shortfall(NamedTuple):
    """Why no degree will do: the one that came closest, or none that keeps the rest connected."""

    degree: int
    needed: int
    available: int


class TailBound:
    """The largest count to reckon with among draws without replacement.

    `bound` is the smallest x for which, of `population` clients that each draw, the expected number
    that draw more than x of the `marked` ones is at most 2**-bits.

    One more draw is a few multiplications of a long integer by a short one. With
    above = ways to draw more than x and exactly = ways to draw x, in k draws of N, of which M are
    marked, the next draw gives

        above' / comb(N, k+1) = above / comb(N, k) + exactly / comb(N, k) * (M - x) / (N - k)

    and every division below is exact. The next draw adds 0 or 1 to the count, hence 0 or 1 to the
    bound: it never has to be lowered.
    """

    def __init__(self, population: int, marked: int, bits: int) -> None:
        self._population = population
        self._marked = marked
        self._bits = bits
        self._draws = 0
        self._ways = 1
        self._above = 0
        self._exactly = 1
        self.bound = 0

    def draw(self) -> None:
        """One more draw."""
        left = self._population - self._draws
        unmarked = self._population - self._marked - (self._draws - self.bound)
        self._draws += 1
        self._above = (
            self._above * left + self._exactly * (self._marked - self.bound)
        ) // self._draws
        self._exactly = self._exactly * unmarked // (self._draws - self.bound)
        self._ways = self._ways * left // self._draws
        while self._above * self._population << self._bits > self._ways:
            self._raise()

    def _raise(self) -> None:
        if self._exactly:
            hits = (self._marked - self.bound) * (self._draws - self.bound)
            others = self._population - self._marked - self._draws + self.bound + 1
            self._exactly = self._exactly * hits // ((self.bound + 1) * others)
        else:  # so few are unmarked that the count cannot be as small as the bound
            self._exactly = comb(self._marked, self.bound + 1) * comb(
                self._population - self._marked, self._draws - self.bound - 1
            )
        self.bound += 1
        self._above -= self._exactly


def secagg_plus_parameters(
    n: int,
    gamma: Rational,
    delta: Rational,
    sigma: int = 40,
    eta: int = 20,
    server: Server = "curious",
    variant: Variant = "secagg",
    *,
    smallest: int | None = None,
) -> GraphParameters:
    """The smallest even degree, and its threshold, that keep all three events unlikely.

    Corrupt neighbours and dropped neighbours of a client are hypergeometric: `degree` draws from
    the cohort. For each degree,

    * *disconnection*: the ring is cut only when degree / 2 neighbours in a row are gone in two
      places, so its probability is at most n (n - degree - 1) / 2 times
      comb(corrupt + dropped, degree) / comb(n, degree). This must be below 2**-(sigma + 1).
    * *exposure*: at most 2**-(sigma + 1) for any client to have more than `corrupt_neighbours`.
      The threshold exceeds this at `curious`. A server that asks each honest holder for one kind
      of share, and each corrupt one for both, gathers degree + 1 + corrupt_neighbours shares of
      both secrets together, the client's own share of its own seed counted: at
      `split_view_server` and `malicious` twice the threshold exceeds this.
    * at `malicious` the server also chooses who counts as dropped, after it has seen the graph. At
      most 2**-(sigma + 1) for any degree / 2 positions in a row to hold more than `window` corrupt
      clients; the threshold is at least degree / 2 + 2 + window. A gap of corrupt clients alone is
      then excluded as well, so this takes the place of disconnection in the budget.
    * *loss*: at most 2**-eta for any client to have fewer surviving neighbours than the threshold.

    Cohorts below 50 and cohorts that would need half of all clients as neighbours get the complete
    graph.

    Args:
        n: clients in the plan.
        gamma: the corrupt fraction, rounded up to whole clients, so at least one client. Zero has
            to be asked for by name and means nobody.
        delta: the fraction missing at the end, from before the first round to the last answer,
            rounded up to whole clients.
        sigma: privacy fails with probability at most 2**-sigma in one session. Add
            log2(sessions) for many.
        eta: a round is lost with probability at most 2**-eta.
        server: what the server may do.
        variant: "fcp" rounds both fractions down, leaves the client's own share out, has no rule
            for small cohorts and never falls back to the complete graph.
        smallest: the smallest number of first-round participants that is accepted, n by default.
            The corrupt clients all take part. Where this is so low that no sparse graph is
            safe, the result is the complete graph.

    Raises:
        ParameterError: no graph will do, or an argument is out of range.

    """
    _check_whole("n", n, 1, LARGEST_COHORT)
    _check_whole("sigma", sigma, 1, LARGEST_EXPONENT)
    _check_whole("eta", eta, 1, LARGEST_EXPONENT)
    _check_choice("server", server, get_args(Server))
    _check_choice("variant", variant, get_args(Variant))
    if smallest is not None:
        _check_whole("smallest", smallest, 1, n)
    corrupt_rate, dropped_rate = _exact_rate("gamma", gamma), _exact_rate("delta", delta)
    if variant == "fcp":
        if smallest not in (None, n):
            raise ParameterError(f"variant fcp knows no smallest cohort but n={n}, got {smallest}")
        return _fcp_parameters(n, corrupt_rate, dropped_rate, sigma, eta, server)

    corrupt, dropped = _whole_clients(n, corrupt_rate, dropped_rate)
    fewest = n if smallest is None else smallest
    if fewest < SMALLEST_SPARSE_COHORT or fewest <= corrupt:
        return _complete(n, corrupt, dropped, server)
    end = (fewest + 1) // 2  # the degrees below half of the smallest cohort
    found = _search(
        n, fewest, corrupt, dropped, sigma, eta, server, variant, min(end, LARGEST_DEGREE)
    )
    if isinstance(found, _Shortfall) and end <= LARGEST_DEGREE:
        return _complete(n, corrupt, dropped, server)
    return _or_refuse(found, n, corrupt, dropped, LARGEST_DEGREE)


def complete_graph_parameters(
    n: int, gamma: Rational, delta: Rational, server: Server = "curious"
) -> GraphParameters:
    """The smallest threshold for the graph in which all are neighbours; nothing is random here.

    Both secrets of a client are shared among all n, itself included. `curious`: the corrupt
    clients alone open nothing, and the threshold exceeds n / 2. `split_view_server` and
    `malicious`: the honest answer once and the corrupt twice, which makes n + corrupt shares, and
    twice the threshold exceeds this. Rounding is as in `secagg_plus_parameters`. Each bound is the
    harder the larger the cohort, so a threshold for n is one for any smaller first round.

    Raises:
        ParameterError: more shares are needed than survivors are promised, or an argument is out of
            range.

    """
    _check_whole("n", n, 1, LARGEST_COHORT)
    _check_choice("server", server, get_args(Server))
    rates = _exact_rate("gamma", gamma), _exact_rate("delta", delta)
    return _complete(n, *_whole_clients(n, *rates), server)


def _whole_clients(n: int, corrupt_rate: Fraction, dropped_rate: Fraction) -> tuple[int, int]:
    # Rounding up makes any rate above zero at least one client; zero itself was asked for by name.
    return ceil(corrupt_rate * n), ceil(dropped_rate * n)


def _complete(n: int, corrupt: int, dropped: int, server: Server) -> GraphParameters:
    exceeds = max(n // 2, corrupt) if server == "curious" else (n + corrupt) // 2
    threshold = max(exceeds + 1, 2)
    if threshold > n - dropped:
        raise ParameterError(
            f"the complete graph of {n} clients, {corrupt} of them corrupt, needs a threshold of"
            f" {threshold} against a {server} server, but only {n - dropped} clients are sure to"
            " stay: lower gamma or delta, or enrol more clients"
        )
    return GraphParameters(n - 1, threshold, True, corrupt, dropped, corrupt)


def _fcp_parameters(
    n: int, corrupt_rate: Fraction, dropped_rate: Fraction, sigma: int, eta: int, server: Server
) -> GraphParameters:
    if server == "malicious":
        raise ParameterError("variant fcp knows the servers curious and split_view_server")
    weight = 1 if server == "curious" else 2
    load = corrupt_rate + weight * dropped_rate
    if load > _FCP_LIMIT:
        raise ParameterError(
            f"variant fcp needs gamma + {'' if weight == 1 else '2 '}delta <= 0.9 against a"
            f" {server} server, got {load}: lower gamma or delta"
        )
    corrupt, dropped = floor(corrupt_rate * n), floor(dropped_rate * n)
    end = min(n - 1, LARGEST_DEGREE)
    found = _search(n, n, corrupt, dropped, sigma, eta, server, "fcp", end)
    return _or_refuse(found, n, corrupt, dropped, end)


# What holds for the smallest cohort, or for n, holds for every cohort between.
#
# Exposure, and the windows of `malicious`: the expected number of clients with more than x corrupt
# neighbours is N Pr[X > x]. From N to N + 1 its term for i corrupt of k neighbours, C corrupt in
# all, changes by the factor (N + 1 - k) (N + 1 - C) / (N (N + 1 - C - k + i)), which is at most 1
# when N (i - 1) >= (k - 1) (C - 1). The mean k C / N is at most x + k Pr[X > x], so an x accepted
# for N has N x > k C - k / 2, and the condition holds for every i > x: all these terms fall as N
# grows, and the worst N is the smallest. (None of them is zero at N and positive later: that takes
# an i below the least possible count, and Pr[X > x] would be 1.) The expectation counts corrupt
# clients too, so it also bounds that of the honest ones, who draw from N - 1 others.
#
# Disconnection: `dropped` may leave after the first round, however many came to it. From N to N + 1
# the bound changes by the factor (N - k) (N - k + 1) / (N (N - k - 1)), at most 1 when
# N (k - 2) >= k (k - 1), which holds for all k >= 4 with N >= 2 k: the worst N is again the
# smallest. Degree 2 is accepted only when fewer than two clients can be gone, at any N.
#
# Loss: whoever never joined counts as dropped, so n - dropped clients survive whatever N is. Among
# fewer participants the survivors are a larger part of each neighbourhood, and fewer clients can
# go wrong: the worst N is n.
@lru_cache(maxsize=1024)
def _search(
    n: int,
    fewest: int,
    corrupt: int,
    dropped: int,
    sigma: int,
    eta: int,
    server: Server,
    variant: Variant,
    end: int,
) -> GraphParameters | _Shortfall:
    """The first even degree below `end` that will do.

    Feasibility is not monotone in the degree (the bounds are rounded to whole clients), so all are
    tried in turn; only connectivity is, and is settled first.
    """
    connected = _connected_from(fewest, corrupt + dropped, sigma, end)
    corrupt_neighbours = TailBound(fewest, corrupt, sigma + 1)
    corrupt_window = TailBound(fewest, corrupt, sigma + 1)
    dropped_neighbours = TailBound(n, dropped, eta)
    closest = _Shortfall(0, 0, 0)
    for degree in range(2, end, 2):
        corrupt_neighbours.draw()
        corrupt_neighbours.draw()
        dropped_neighbours.draw()
        dropped_neighbours.draw()
        if server == "malicious":
            corrupt_window.draw()
        if degree < connected:
            continue
        exceeds = corrupt_neighbours.bound
        if server != "curious":
            own_share = 0 if variant == "fcp" else 1
            exceeds = (degree + own_share + exceeds) // 2
        if server == "malicious":
            exceeds = max(exceeds, degree // 2 + 1 + corrupt_window.bound)
        threshold = max(exceeds + 1, 2)
        available = degree - dropped_neighbours.bound
        # fcp compares before it raises the threshold to 2.
        needed = exceeds + 1 if variant == "fcp" else threshold
        if needed <= available:
            return GraphParameters(
                degree, threshold, False, corrupt, dropped, corrupt_neighbours.bound
            )
        if not closest.degree or needed - available < closest.needed - closest.available:
            closest = _Shortfall(degree, needed, available)
    return closest


def _connected_from(n: int, removed: int, sigma: int, end: int) -> int:
    """The first even degree at which disconnection is unlikely enough, or `end`.

    From one degree to the next the bound changes by (removed - degree) / (n - degree) and by
    (n - degree - 2) / (n - degree - 1), both at most 1: once below the limit it stays there.
    """
    gone = whole = 1
    for degree in range(2, end, 2):
        for taken in (degree - 2, degree - 1):
            gone *= removed - taken  # zero once all are taken
            whole *= n - taken
        if n * (n - degree - 1) * gone << sigma < whole:
            return degree
    return end


def _or_refuse(
    found: GraphParameters | _Shortfall, n: int, corrupt: int, dropped: int, end: int
) -> GraphParameters:
    if isinstance(found, GraphParameters):
        return found
    reason, remedy = "the bound on disconnection fails at each", "gamma, delta or sigma"
    if found.degree:
        reason = (
            f"the bounds on exposure and loss exclude each other (closest at {found.degree}, where"
            f" privacy needs a threshold of {found.needed}, and {found.available} survive)"
        )
        remedy = "gamma, delta, sigma or eta"
    raise ParameterError(
        f"no even degree below {end} serves {n} clients, {corrupt} corrupt and {dropped} dropped:"
        f" {reason}: lower {remedy}, or enrol more clients"
    )


def _check_whole(name: str, value: int, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise ParameterError(f"{name} is an integer in {low}..{high}, got {value!r}")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ParameterError(f"{name} is one of {', '.join(choices)}, got {value!r}")


def _exact_rate(name: str, value: Rational) -> Fraction:
    """The fraction itself; anything inexact, or too long to be meant, is refused."""
    rate: Fraction | None = None
    match value:
        case int() | Fraction() if not isinstance(value, bool):
            rate = Fraction(value)
        case Decimal() if value.is_finite() and abs(value.adjusted()) <= 20:
            rate = Fraction(value) if len(value.as_tuple().digits) <= 40 else None
        case str() if _EXACT.fullmatch(value):
            rate = Fraction(value)
    if rate is None:
        raise ParameterError(
            f"{name} is an exact fraction, given as a string, Decimal, int or Fraction (floats are"
            f" rounded already), got {value!r}"
        )
    if not 0 <= rate < 1:
        raise ParameterError(f"{name} lies in 0 <= {name} < 1, got {value}")
    return rate
