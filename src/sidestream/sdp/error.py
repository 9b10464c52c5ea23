"""What can be wrong with a peer's session description."""

BAD_SDP_CODE = 32102  # of the error dictionary: bad SDP


class SdpError(Exception):
    """A remote error: the peer's SDP breaks RFC 8866 or RFC 3264. Answer its request with `status`, report `code`.

    `line` is the number of the offending line, counted from 1; 0 when no single line is to blame.
    """

    def __init__(self, problem: str, *, line: int = 0, status: int = 400) -> None:
        super().__init__(problem, line, status)
        self.problem = problem
        self.line = line
        self.status = status  # SIP: 400 for text that cannot be read, 488 for media that cannot be agreed on
        self.code = BAD_SDP_CODE

    def __str__(self) -> str:
        return f"SDP line {self.line}: {self.problem}" if self.line else f"SDP: {self.problem}"
