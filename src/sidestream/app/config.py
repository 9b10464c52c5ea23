"""The configuration: a TOML file, overridden by the environment, on top of defaults that need neither."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sidestream.accounts.account import Number, VoiceSettings
from sidestream.accounts.account_book import ANY_ADDRESS
from sidestream.app.config_builder import build_config, bundled_connector
from sidestream.app.config_problem import ConfigError, ConfigProblem
from sidestream.app.config_reader import Problems, read_tables
from sidestream.app.config_values import (
    Config,
    HttpConfig,
    InterfaceConfig,
    Limits,
    ListenerConfig,
    LogConfig,
    MediaConfig,
    RestartConfig,
    SrsConfig,
)

__all__ = [
    "Config",
    "ConfigError",
    "ConfigProblem",
    "HttpConfig",
    "InterfaceConfig",
    "Limits",
    "ListenerConfig",
    "LogConfig",
    "MediaConfig",
    "RestartConfig",
    "SrsConfig",
    "bundled_connector",
    "load",
]

# What a server without configuration does with every call: it can be heard and its recording looked at.
WELCOME_TWIML = (
    "<Response><Start><Siprec/></Start><Say>This call is being recorded by Sidestream. Speak, then hang up.</Say>"
    '<Pause length="600"/></Response>'
)


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """The configuration of the file at `path` (None: the embedded defaults), overridden by `environ`.

    Raises ConfigError with every problem there is; a file that cannot be read is one, too.
    """
    problems = Problems()
    tables = read_tables(_source(path), environ, problems)
    if not tables:
        raise ConfigError(problems.found, path)
    config = build_config(tables, problems)
    if problems.found:
        raise ConfigError(sorted(problems.found, key=lambda p: (p.line is None, p.line or 0)), path)
    if path is None and not config.numbers and len(config.accounts) <= 1:
        owner = config.accounts[0].sid if config.accounts else ""
        return replace(config, numbers=(Number(ANY_ADDRESS, owner, VoiceSettings(twiml=WELCOME_TWIML)),))
    return config


def _source(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigError([ConfigProblem(None, "", f"Cannot be read: {error.strerror}")], path) from error
    except UnicodeDecodeError as error:
        raise ConfigError([ConfigProblem(None, "", f"Not UTF-8 at octet {error.start}")], path) from error
