import random
import socket
from contextlib import ExitStack

from sidestream.app.config import load
from sidestream.base.ids import Ids
from sidestream.demo.server import HOST, DemoServer, free_ports

VOICE_URL = "http://127.0.0.1:9000/voice"


def test_the_configuration_it_writes_is_one_that_serve_accepts(tmp_path):
    ids = Ids(random.Random(1))
    server = DemoServer(tmp_path, ids, voice_url=VOICE_URL, auth_token=ids.auth_token())
    config = load(tmp_path / "sidestream.toml", {})
    (account,), (number,) = config.accounts, config.numbers
    assert (account.sid, account.auth_token) == (server.account_sid, server.auth_token)
    assert (number.address, number.voice.url) == ("*", VOICE_URL)
    assert config.data_dir == tmp_path
    assert server.recordings == tmp_path / "recordings"
    assert server.api_url == f"http://{HOST}:{config.http.port}"
    assert [connector.unique_name for connector in config.connectors] == ["Default"]


def test_the_file_with_the_token_is_private(tmp_path):
    DemoServer(tmp_path, Ids(), voice_url=VOICE_URL, auth_token=Ids().auth_token())
    assert (tmp_path / "sidestream.toml").stat().st_mode & 0o077 == 0


def test_ports_that_are_taken_are_not_chosen():
    first = free_ports()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HOST, first.sip))
        second = free_ports()
    assert second.sip != first.sip
    assert len({second.sip, second.http, second.srs}) == 3


def test_ports_are_none_that_a_client_may_get():
    with ExitStack() as taken:
        for _ in range(3):
            found = free_ports()
            for port in (found.sip, found.http, found.srs):
                taken.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind((HOST, port))
                assert port < 32768
