"""What is wrong with a configuration."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One mistake. `line` is of the file, None where it has none; `key` is a path such as `numbers[0].voice_url`,
    or the name of an environment variable.
    """

    line: int | None
    key: str
    message: str

    def located_in(self, path: Path | None) -> str:
        """`file:line: key: message`, without what there is not."""
        place = "" if path is None else f"{path}: " if self.line is None else f"{path}:{self.line}: "
        return place + (f"{self.key}: {self.message}" if self.key else self.message)


class ConfigError(Exception):
    """A configuration that cannot be used, with every problem that was found in it."""

    def __init__(self, problems: Sequence[ConfigProblem], path: Path | None) -> None:
        super().__init__(problems, path)
        self.problems = tuple(problems)
        self.path = path

    def __str__(self) -> str:
        return "\n".join(problem.located_in(self.path) for problem in self.problems)
