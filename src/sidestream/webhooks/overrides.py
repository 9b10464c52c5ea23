"""Connection overrides: what the fragment of a webhook's URL says about time-outs and retries."""

from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

INVALID_EDGE = 11240
INVALID_RETRY_POLICY = 11243

CONNECT_MS = (100, 10_000)
READ_MS = (100, 15_000)
TOTAL_MS = (100, 15_000)
RETRIES = (0, 5)
RETRY_CAUSES = frozenset({"4xx", "5xx", "ct", "rt"})
EDGES = frozenset(
    {"ashburn", "umatilla", "dublin", "frankfurt", "singapore", "tokyo", "sao-paulo", "sydney", "roaming"}
    | {"ashburn-ix", "frankfurt-ix", "london-ix", "san-jose-ix", "singapore-ix"}
)


@dataclass(frozen=True, slots=True)
class ConnectionOverrides:
    """How one request is made. Times in milliseconds; `total_ms` covers every attempt of the request together.

    `retry_on` holds members of RETRY_CAUSES: `ct` a connection or TLS handshake that failed, `rt` an answer that did
    not come. `edges` is accepted for compatibility: the request leaves from this machine whatever it says.
    """

    connect_ms: int = 5_000
    read_ms: int = 15_000
    total_ms: int = 15_000
    retries: int = 1
    retry_on: frozenset[str] = frozenset({"ct"})
    verify_name: bool = True
    edges: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OverrideProblem:
    """A value that was ignored. `code` is 11240 for an edge, 11243 for anything else."""

    code: int
    message: str


def parse(url: str) -> tuple[str, ConnectionOverrides, tuple[OverrideProblem, ...]]:
    """Split `url` into what is requested and what its fragment overrides; a bad value keeps its default.

    Keys that are no override are left alone: a fragment may have been meant for something else.
    """
    clean, _, fragment = url.partition("#")
    overrides = ConnectionOverrides()
    problems: list[OverrideProblem] = []
    for key, value in parse_qsl(fragment, keep_blank_values=True):
        try:
            overrides = _apply(overrides, key, value)
        except _BadValue as error:
            problems.append(OverrideProblem(error.code, f"Connection override {key}={value} ignored: {error.rule}"))
    return clean, overrides, tuple(problems)


class _BadValue(Exception):
    def __init__(self, rule: str, code: int = INVALID_RETRY_POLICY) -> None:
        super().__init__(rule, code)
        self.rule = rule
        self.code = code


def _apply(overrides: ConnectionOverrides, key: str, value: str) -> ConnectionOverrides:
    match key:
        case "ct":
            return replace(overrides, connect_ms=_integer(value, CONNECT_MS))
        case "rt":
            return replace(overrides, read_ms=_integer(value, READ_MS))
        case "tt":
            return replace(overrides, total_ms=_integer(value, TOTAL_MS))
        case "rc":
            return replace(overrides, retries=_integer(value, RETRIES))
        case "rp":
            return replace(overrides, retry_on=_retry_causes(value))
        case "sni":
            if value not in ("y", "n"):
                raise _BadValue("must be y or n")
            return replace(overrides, verify_name=value == "y")
        case "e":
            edges = tuple(value.split(","))
            if not EDGES.issuperset(edges):
                raise _BadValue("names an unknown edge", INVALID_EDGE)
            return replace(overrides, edges=edges)
        case _:
            return overrides


def _integer(value: str, bounds: tuple[int, int]) -> int:
    low, high = bounds
    # More than five digits are out of every range, and isdecimal alone would let other scripts' digits through.
    if not (value.isascii() and value.isdecimal() and len(value) <= 5 and low <= int(value) <= high):
        raise _BadValue(f"must be a whole number from {low} to {high}")
    return int(value)


def _retry_causes(value: str) -> frozenset[str]:
    causes = frozenset(value.split(","))
    if not causes <= RETRY_CAUSES | {"all"}:
        raise _BadValue("must list 4xx, 5xx, ct, rt or all")
    return RETRY_CAUSES if "all" in causes else causes
