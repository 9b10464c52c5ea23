import pytest

from sidestream.webhooks.overrides import RETRY_CAUSES, ConnectionOverrides, parse

URL = "https://app.example/path?x=1"


def overrides(fragment: str) -> ConnectionOverrides:
    clean, parsed, problems = parse(f"{URL}#{fragment}")
    assert clean == URL
    assert problems == ()
    return parsed


def test_a_url_without_a_fragment_has_the_defaults() -> None:
    assert parse(URL) == (URL, ConnectionOverrides(), ())
    defaults = ConnectionOverrides()
    assert (defaults.connect_ms, defaults.read_ms, defaults.total_ms, defaults.retries) == (5000, 15000, 15000, 1)
    assert defaults.retry_on == {"ct"}
    assert defaults.verify_name


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("ct=100", ConnectionOverrides(connect_ms=100)),
        ("ct=10000", ConnectionOverrides(connect_ms=10_000)),
        ("rt=100", ConnectionOverrides(read_ms=100)),
        ("rt=15000", ConnectionOverrides(read_ms=15_000)),
        ("tt=100", ConnectionOverrides(total_ms=100)),
        ("tt=15000", ConnectionOverrides(total_ms=15_000)),
        ("rc=0", ConnectionOverrides(retries=0)),
        ("rc=5", ConnectionOverrides(retries=5)),
        ("rp=4xx,5xx", ConnectionOverrides(retry_on=frozenset({"4xx", "5xx"}))),
        ("rp=ct,rt", ConnectionOverrides(retry_on=frozenset({"ct", "rt"}))),
        ("rp=all", ConnectionOverrides(retry_on=RETRY_CAUSES)),
        ("rp=rt,all", ConnectionOverrides(retry_on=RETRY_CAUSES)),
        ("sni=n", ConnectionOverrides(verify_name=False)),
        ("sni=y", ConnectionOverrides()),
        ("e=dublin", ConnectionOverrides(edges=("dublin",))),
        ("e=ashburn,frankfurt-ix", ConnectionOverrides(edges=("ashburn", "frankfurt-ix"))),
        ("rc=2&rp=all&ct=200", ConnectionOverrides(retries=2, retry_on=RETRY_CAUSES, connect_ms=200)),
        ("rc=2&rc=3", ConnectionOverrides(retries=3)),
        ("section-1", ConnectionOverrides()),
        ("", ConnectionOverrides()),
        ("foo=bar&CT=1", ConnectionOverrides()),
    ],
)
def test_what_a_fragment_means(fragment: str, expected: ConnectionOverrides) -> None:
    assert overrides(fragment) == expected


@pytest.mark.parametrize(
    ("fragment", "code"),
    [
        ("ct=99", 11243),
        ("ct=10001", 11243),
        ("rt=15001", 11243),
        ("tt=0", 11243),
        ("tt=", 11243),
        ("rc=6", 11243),
        ("rc=-1", 11243),
        ("rc=1.0", 11243),
        ("rc=%D9%A3", 11243),
        ("ct=" + "9" * 5000, 11243),
        ("rp=", 11243),
        ("rp=3xx", 11243),
        ("rp=5xx,never", 11243),
        ("sni=no", 11243),
        ("e=atlantis", 11240),
        ("e=dublin,atlantis", 11240),
        ("e=", 11240),
    ],
)
def test_a_bad_value_is_a_problem_and_keeps_the_default(fragment: str, code: int) -> None:
    clean, parsed, problems = parse(f"{URL}#{fragment}")
    assert clean == URL
    assert parsed == ConnectionOverrides()
    assert [problem.code for problem in problems] == [code]
    assert fragment.partition("=")[0] in problems[0].message


def test_one_bad_value_does_not_spoil_the_others() -> None:
    _, parsed, problems = parse(f"{URL}#rc=9&rt=500&e=x")
    assert parsed == ConnectionOverrides(read_ms=500)
    assert [problem.code for problem in problems] == [11243, 11240]
