"""Phones of a domain, played by SIPp: they register, prove who they are, and call each other."""

from typing import Any

import pytest

from .conftest import Stage
from .server_process import CALLEE_USER, CALLER_USER, free_port
from .sipp_process import Sipp

pytestmark = pytest.mark.interop

DOMAIN = "office.test"
PASSWORDS = {CALLER_USER: "looking-glass", CALLEE_USER: "snark"}
CONFIG = f"""
[registrar]
min_expires = 10
digest = ["MD5"]  # SIPp looks at the first challenge alone, and knows nothing else
[[domains]]
name = "{DOMAIN}"
route = "users"
""" + "".join(
    f'[[users]]\ndomain = "{DOMAIN}"\nname = "{name}"\npassword = "{word}"\n' for name, word in PASSWORDS.items()
)


def phone(stage: Stage, scenario: str, user: str, *, expires: int = 60, **options: Any) -> Sipp:
    """A phone of `user`."""
    values = [("domain", DOMAIN), ("expires", str(expires))]
    return stage.call(scenario, user, values=values, options=["-au", user, "-ap", PASSWORDS[user]], **options)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(
    "scenario",
    [
        "phone_registers",
        "phone_registers_with_a_wrong_password",
        "phone_registers_somebody_else",
        "phone_wants_too_short_a_registration",
        "phone_calls_one_that_is_away",
    ],
)
def test_phone(stage: Stage, scenario: str, transport: str) -> None:
    phone(stage, scenario, CALLER_USER, transport=transport).run()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_phone_calls_another_until_that_is_away(stage: Stage, transport: str) -> None:
    port = free_port()
    phone(stage, "phone_registers", CALLEE_USER, port=port).run()
    phone(stage, "phone_asks_where_it_is_registered", CALLEE_USER, transport=transport).run()
    with stage.play("callee_answers", port):
        phone(stage, "phone_calls_another", CALLER_USER, transport=transport).run()
    phone(stage, "phone_unregisters", CALLEE_USER, transport=transport).run()
    phone(stage, "phone_calls_one_that_is_away", CALLER_USER, transport=transport).run()
