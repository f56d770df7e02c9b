"""The parameter finder against published numbers, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secagg.errors import ParameterError
from secagg.protocols._masking.parameters import (
    LARGEST_DEGREE,
    GraphParameters,
    Rational,
    Server,
    Variant,
    complete_graph_parameters,
    secagg_plus_parameters,
)

Pair = tuple[int, int]
SERVERS: tuple[Server, ...] = ("curious", "split_view_server", "malicious")
VARIANTS: tuple[Variant, ...] = ("secagg", "fcp")


class Row(NamedTuple):
    n: int
    gamma: str
    delta: str
    eta: int
    server: Server
    expected: Pair


# Table A: the expectations of graph_parameter_finder_test.cc in google/federated-compute
# (sigma 40, eta 20): n, gamma, delta, against a curious server, against one that splits its
# requests. None where it must refuse; absent where it has no expectation.
FCP: list[tuple[int, str, str, dict[Server, Pair | None]]] = [
    (100, "0.05", "0.05", {"curious": (12, 6), "split_view_server": (16, 11)}),
    (1_000, "0.05", "0.05", {"curious": (30, 17), "split_view_server": (52, 37)}),
    (10_000, "0.05", "0.05", {"curious": (34, 20), "split_view_server": (62, 44)}),
    (100_000, "0.05", "0.05", {"curious": (36, 21), "split_view_server": (68, 48)}),
    (1_000_000, "0.05", "0.05", {"curious": (38, 22), "split_view_server": (74, 52)}),
    (1_000, "0.33", "0.05", {"curious": (78, 60), "split_view_server": (132, 109)}),
    (10_000, "0.33", "0.05", {"curious": (92, 70), "split_view_server": (178, 146)}),
    (1_000, "0.05", "0.33", {"curious": (72, 24), "split_view_server": (398, 223)}),
    (10_000, "0.05", "0.33", {"curious": (86, 29), "split_view_server": (746, 420)}),
    (100, "0.33", "0.33", {"curious": (68, 34), "split_view_server": None}),
    (1_000, "0.33", "0.33", {"curious": (286, 150), "split_view_server": None}),
    (10_000, "0.33", "0.33", {"curious": (422, 221), "split_view_server": None}),
    (1_000, "0.3", "0.3", {"split_view_server": (872, 584)}),
    (1_000, "0.45", "0.45", {"curious": (822, 417), "split_view_server": None}),
    (10_000, "0", "0.33", {"curious": (42, 2), "split_view_server": (326, 164)}),
    (10_000, "0.33", "0", {"curious": (42, 40), "split_view_server": (42, 41)}),
    (1_000, "0", "0", {"curious": (2, 2), "split_view_server": (2, 2)}),
]

# Table B: the same rule at eta 30, the pair of Bell et al.; gamma = delta.
FCP_ETA_30_COLUMNS: list[tuple[str, Server]] = [
    ("0.05", "curious"),
    ("0.05", "split_view_server"),
    ("0.1", "curious"),
    ("0.1", "split_view_server"),
    ("0.2", "curious"),
    ("0.2", "split_view_server"),
    ("1/3", "curious"),
]
FCP_ETA_30: dict[int, list[Pair]] = {
    10**3: [(34, 18), (62, 43), (52, 28), (114, 78), (112, 59), (340, 229), (318, 163)],
    10**4: [(38, 21), (74, 51), (60, 32), (144, 98), (136, 71), (566, 381), (498, 255)],
    10**5: [(40, 22), (80, 55), (66, 35), (156, 106), (150, 78), (648, 436), (558, 285)],
    10**6: [(44, 24), (86, 59), (70, 37), (168, 114), (160, 83), (696, 468), (600, 306)],
    10**8: [(50, 27), (98, 67), (80, 42), (192, 130), (180, 93), (792, 532), (678, 345)],
    10**9: [(52, 28), (104, 71), (84, 44), (204, 138), (190, 98), (840, 564), (716, 364)],
}

# Table C: the client's own share counted; n = 10**2, 10**3, ...
OWN_SHARE: list[tuple[str, str, int, list[Pair]]] = [
    ("0.05", "0.05", 20, [(18, 13), (52, 37), (62, 44), (72, 51), (78, 55)]),
    ("0.05", "0.05", 30, [(18, 13), (62, 43), (78, 54), (84, 58), (90, 62)]),
    ("0.33", "0.05", 20, [(44, 39), (138, 114), (180, 148), (198, 162), (214, 175)]),
]

# With the window rule as well; None: not tabulated.
MALICIOUS: list[tuple[str, str, int, list[Pair | None]]] = [
    ("0.05", "0.05", 20, [(24, 19), (76, 58), (90, 68), (100, 75), (108, 81)]),
    ("0.05", "0.05", 30, [(24, 19), (86, 64), (102, 75), (112, 82), (120, 88)]),
    ("0.1", "0.1", 20, [(44, 34), (138, 102), (172, 126)]),
    ("0.2", "0.05", 20, [None, (138, 114), (168, 137)]),
    ("0.33", "0.05", 20, [None, (204, 175), (264, 224)]),
]


def fcp_rows() -> Iterator[Row]:
    for n, gamma, delta, outcomes in FCP:
        for server, expected in outcomes.items():
            if expected:
                yield Row(n, gamma, delta, 20, server, expected)
    for n, row in FCP_ETA_30.items():
        for (rate, server), expected in zip(FCP_ETA_30_COLUMNS, row, strict=True):
            yield Row(n, rate, rate, 30, server, expected)


def corrected_rows() -> Iterator[Row]:
    for gamma, delta, eta, pairs in OWN_SHARE:
        for power, pair in enumerate(pairs, start=2):
            yield Row(10**power, gamma, delta, eta, "split_view_server", pair)
    for gamma, delta, eta, cells in MALICIOUS:
        for power, cell in enumerate(cells, start=2):
            if cell:
                yield Row(10**power, gamma, delta, eta, "malicious", cell)


def name(row: Row) -> str:
    return f"{row.n}, {row.gamma}, {row.delta}, eta {row.eta}, {row.server}"


@pytest.mark.parametrize("row", [*fcp_rows()], ids=name)
def test_variant_fcp_gives_the_numbers_of_fcp(row: Row) -> None:
    found = secagg_plus_parameters(
        row.n, row.gamma, row.delta, eta=row.eta, server=row.server, variant="fcp"
    )
    assert (*found[:2], found.complete) == (*row.expected, False)


@pytest.mark.parametrize("row", [*corrected_rows()], ids=name)
def test_the_corrected_tables(row: Row) -> None:
    found = secagg_plus_parameters(row.n, row.gamma, row.delta, eta=row.eta, server=row.server)
    assert (*found[:2], found.complete) == (*row.expected, False)


def test_variant_fcp_keeps_a_threshold_that_survivors_may_miss() -> None:
    # One of two neighbours may drop, and the threshold is raised to 2 after the comparison.
    assert secagg_plus_parameters(10, "0", "0.1", variant="fcp")[:2] == (2, 2)


FCP_REFUSES: list[tuple[int, str, str, Server]] = [
    *(
        (n, gamma, delta, server)
        for n, gamma, delta, outcomes in FCP
        for server, expected in outcomes.items()
        if expected is None
    ),
    (0, "0.05", "0.05", "curious"),
    (100, "0.05", "1", "curious"),
    (100, "0.05", "-0.05", "curious"),
    (100, "0.5", "0.5", "curious"),
    (100, "0.5", "0.5", "split_view_server"),
    (100, "0.33", "0.33", "split_view_server"),
    (100, "0.05", "0.05", "malicious"),
]


@pytest.mark.parametrize(("n", "gamma", "delta", "server"), FCP_REFUSES)
def test_variant_fcp_refuses(n: int, gamma: str, delta: str, server: Server) -> None:
    with pytest.raises(ParameterError):
        secagg_plus_parameters(n, gamma, delta, server=server, variant="fcp")


def test_a_refusal_names_the_bound_and_a_remedy() -> None:
    with pytest.raises(ParameterError, match=r"gamma \+ 2 delta <= 0\.9.*got 99/100.*lower"):
        secagg_plus_parameters(100, "0.33", "0.33", server="split_view_server", variant="fcp")
    with pytest.raises(ParameterError, match=r"5 clients, 1 corrupt.*disconnection.*lower"):
        secagg_plus_parameters(5, "0.2", "0.2", variant="fcp")
    with pytest.raises(ParameterError, match=r"exposure and loss.*threshold of.*eta"):
        secagg_plus_parameters(20, "0", "0.45", server="split_view_server", variant="fcp")
    with pytest.raises(ParameterError, match=r"complete graph of 10.*threshold of 6.*only 5"):
        secagg_plus_parameters(10, "0.1", "0.5")


def test_the_search_ends_where_no_client_could_follow() -> None:
    with pytest.raises(ParameterError, match=f"below {LARGEST_DEGREE} serves 100000 clients"):
        secagg_plus_parameters(100_000, "0.25", "0.37", server="malicious")


@pytest.mark.parametrize(
    ("n", "server", "expected"),
    [
        (3, "curious", (2, 2)),
        (4, "curious", (3, 3)),
        (4, "malicious", (3, 3)),
        (5, "malicious", (4, 4)),
        (10, "curious", (9, 6)),
        (10, "malicious", (9, 6)),
        (49, "curious", (48, 25)),
        (49, "malicious", (48, 28)),
    ],
)
def test_a_small_cohort_gets_the_complete_graph(n: int, server: Server, expected: Pair) -> None:
    found = secagg_plus_parameters(n, "0.1", "0.1", server=server)
    assert found == complete_graph_parameters(n, "0.1", "0.1", server)
    assert (*found[:2], found.complete) == (*expected, True)
    assert found.threshold > found.corrupt >= 1


@pytest.mark.parametrize(
    ("n", "server"), [(1, "curious"), (2, "curious"), (2, "malicious"), (3, "malicious")]
)
def test_too_small_a_cohort_is_refused(n: int, server: Server) -> None:
    with pytest.raises(ParameterError, match="needs a threshold"):
        secagg_plus_parameters(n, "0.1", "0.1", server=server)


@given(
    n=st.integers(1, 200),
    corrupt=st.integers(0, 199),
    dropped=st.integers(0, 199),
    server=st.sampled_from(SERVERS),
)
def test_the_complete_graph(n: int, corrupt: int, dropped: int, server: Server) -> None:
    corrupt, dropped = min(corrupt, n - 1), min(dropped, n - 1)

    def safe(threshold: int) -> bool:
        if server == "curious":
            return 2 * threshold > n and threshold > corrupt
        return 2 * threshold > n + corrupt

    fitting = [t for t in range(2, n - dropped + 1) if safe(t)]
    rates = Fraction(corrupt, n), Fraction(dropped, n)
    if fitting:
        expected = GraphParameters(n - 1, fitting[0], True, corrupt, dropped, corrupt)
        assert complete_graph_parameters(n, *rates, server) == expected
    else:
        with pytest.raises(ParameterError, match="needs a threshold"):
            complete_graph_parameters(n, *rates, server)


def test_a_degree_of_half_the_cohort_becomes_the_complete_graph() -> None:
    # fcp finds (822, 417) of 1000 here, see table A.
    found = secagg_plus_parameters(1_000, "0.45", "0.45")
    assert found == (999, 501, True, 450, 450, 450)
    # Without the rule both of these would be (26, 15).
    rates = "1/53", "11/53"
    assert secagg_plus_parameters(53, *rates, server="split_view_server")[:3] == (26, 15, False)
    rates = "1/52", "11/52"
    assert secagg_plus_parameters(52, *rates, server="split_view_server")[:3] == (51, 27, True)


def test_rounding_is_up_and_zero_must_be_asked_for() -> None:
    assert secagg_plus_parameters(100, "0.001", "0.011")[3:5] == (1, 2)
    assert secagg_plus_parameters(100, "0", "0")[3:5] == (0, 0)
    assert complete_graph_parameters(10, 0, 0) == (9, 6, True, 0, 0, 0)
    # As floats, 0.07 * 100 and 0.57 * 100 are not 7 and 57: one is above, the other below.
    assert secagg_plus_parameters(100, "0.07", "0.07")[3:5] == (7, 7)
    assert secagg_plus_parameters(100, "0", "0.57", eta=1)[4] == 57


@pytest.mark.parametrize("rate", ["0.05", "1/20", "5/100", Decimal("0.05"), Fraction(1, 20)])
def test_one_rate_in_many_forms(rate: Rational) -> None:
    assert secagg_plus_parameters(1_000, rate, rate, server="malicious")[:2] == (76, 58)


@pytest.mark.parametrize(
    "rate",
    [
        0.1,
        True,
        None,
        "",
        "ten",
        "0.1 ",
        ".1",
        "1e-1",
        "1/0",
        "nan",
        "1" * 21,
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("1E-999999999"),
        Decimal("0." + "1" * 41),
        "1",
        "-0.1",
        "3/2",
        1,
        -1,
        Decimal(2),
    ],
)
def test_an_inexact_or_absurd_rate_is_refused(rate: Any) -> None:
    with pytest.raises(ParameterError, match="gamma"):
        secagg_plus_parameters(100, rate, "0.1")
    with pytest.raises(ParameterError, match="delta"):
        secagg_plus_parameters(100, "0.1", rate)
    with pytest.raises(ParameterError, match="gamma"):
        complete_graph_parameters(100, rate, "0.1")


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 0},
        {"n": 10**9 + 1},
        {"n": 100.0},
        {"n": True},
        {"sigma": 0},
        {"sigma": 257},
        {"eta": 0},
        {"eta": 20.0},
        {"server": "honest"},
        {"variant": "bell"},
        {"smallest": 0},
        {"smallest": 101},
        {"smallest": 99, "variant": "fcp"},
    ],
)
def test_bad_arguments_are_refused(wrong: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"n": 100, "gamma": "0.1", "delta": "0.1", **wrong}
    with pytest.raises(ParameterError, match="got"):
        secagg_plus_parameters(**arguments)
