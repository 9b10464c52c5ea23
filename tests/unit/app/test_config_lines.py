"""Keys are found on their lines."""

import pytest

from sidestream.app.config_lines import KeyPath, find_lines, line_of

SOURCE = '''\
top = 1 # [not.a.table]
"quoted key" = 2

[http]   # comment
port = 1
a.b = 2
# """ a comment opens no string
[[numbers]]
twiml = """
[fake]  # \'\'\' is text here
port = 3
"""
after = 1

[[ numbers ]]
list = [
  "x = 1",
]
literal = \'\'\'one line\'\'\'
x = 1
[media]
[[media.interfaces]]
name = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 1),
        (("quoted key",), 2),
        (("http",), 4),
        (("http", "port"), 5),
        (("http", "a", "b"), 6),
        (("numbers", 0), 8),
        (("numbers", 0, "twiml"), 9),
        (("numbers", 0, "after"), 13),
        (("numbers", 1), 15),
        (("numbers", 1, "list"), 16),
        (("numbers", 1, "x"), 20),
        (("media", "interfaces", 0, "name"), 23),
        (("http", "missing"), 4),
        (("numbers", 1, "missing"), 15),
        (("fake",), None),
        (("nothing", "here"), None),
    ],
)
def test_lines(path: KeyPath, line: int | None) -> None:
    assert line_of(find_lines(SOURCE), path) == line
