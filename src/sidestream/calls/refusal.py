"""A request that the platform refuses: what the API answers and the debugger records."""

RETRY_AFTER_S = 10  # RFC 3261 §20.33: when a caller that met a limit may try again; calls end all the time


class Refusal(Exception):
    """Policy or bad input. `status` is the HTTP status, `code` the catalogue code, `message` is for the caller."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
