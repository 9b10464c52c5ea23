import pytest

from sidestream.webhooks.target_url import URL_LIMIT, InvalidUrl, TargetUrl, resolve


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://app.example/a/b?x=1&y=%20", "https://app.example/a/b?x=1&y=%20"),
        ("http://app.example", "http://app.example/"),
        ("http://app.example?x=1", "http://app.example/?x=1"),
        ("HTTPS://App.Example:443/A", "https://App.Example:443/A"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
        ("http://[::1]/", "http://[::1]/"),
        ("https://me:se%40cret@app.example/", "https://me:se%40cret@app.example/"),
        ("https://app.example/a b?q=ü", "https://app.example/a%20b?q=%C3%BC"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        (" https://app.example/ ", "https://app.example/"),
        ("https://app.example/a+b;c=d~e?f=(g)*!'", "https://app.example/a+b;c=d~e?f=(g)*!'"),
    ],
)
def test_what_is_requested_and_signed(url: str, text: str) -> None:
    target = TargetUrl.parse(url)
    assert target.text == text
    # Default ports are left out of the Host header; receivers try both spellings.
    assert str(target.request) == target.bare.replace(":443/", "/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/relative",
        "app.example/path",
        "ftp://app.example/",
        "javascript:alert(1)",
        "http://",
        "http://:80/",
        "http://a b/",
        "http://app.example:port/",
        "http://app.example:99999/",
        "http://[::1",
        "http://app.example/\r\nX-Injected: 1",
        "http://app.example/\x00",
        "http://" + "ü" * 70 + "/",
        "https://app.example/" + "a" * URL_LIMIT,
    ],
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(InvalidUrl) as caught:
        TargetUrl.parse(url)
    assert caught.value.reason in str(caught.value)


def test_user_info_becomes_an_authorization() -> None:
    target = TargetUrl.parse("https://me:se%40cret@app.example/")
    assert target.authorization == "Basic bWU6c2VAY3JldA=="
    assert target.bare == "https://app.example/"
    assert TargetUrl.parse("https://app.example/").authorization is None


def test_parameters_follow_the_query_of_the_url() -> None:
    target = TargetUrl.parse("https://me@app.example/?x=1").with_query((("From", "+1"), ("b", "ü")))
    assert target.text == "https://me@app.example/?x=1&From=%2B1&b=%C3%BC"
    assert target.bare == "https://app.example/?x=1&From=%2B1&b=%C3%BC"
    assert TargetUrl.parse("https://app.example/").with_query((("a", "b"),)).text == "https://app.example/?a=b"
    assert TargetUrl.parse("https://app.example/").with_query(()).text == "https://app.example/"


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("next.xml#rc=2", "https://me:x@app.example/dir/next.xml#rc=2"),
        ("/next?a=b", "https://me:x@app.example/next?a=b"),
        ("https://other.example/", "https://other.example/"),
        ("", "https://me:x@app.example/dir/voice?x=1"),
    ],
)
def test_references_of_a_document_are_resolved_against_it(reference: str, expected: str) -> None:
    assert resolve("https://me:x@app.example/dir/voice?x=1", reference) == expected


@pytest.mark.parametrize("reference", ["mailto:me@app.example", "http://[::1", "http://:1/"])
def test_a_reference_that_leads_nowhere(reference: str) -> None:
    with pytest.raises(InvalidUrl):
        resolve("https://app.example/voice", reference)


def test_a_log_line_shows_neither_query_nor_user_info() -> None:
    assert TargetUrl.parse("https://me:x@app.example/dir?key=secret").loggable == "https://app.example/dir"
