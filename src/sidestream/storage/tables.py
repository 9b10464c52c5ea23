"""The schema, in SQL that SQLite and PostgreSQL share. `migrations/` leads an older database to it.

Columns ending in `_us` are microseconds since 1970 in UTC. JSON columns hold text. No foreign keys: rooms write in
their own time, and a callback may be stored before its call.
"""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

# SQLite counts up by itself only a column declared INTEGER.
_Position = BigInteger().with_variant(Integer, "sqlite")

calls = Table(
    "calls",
    metadata,
    Column("sid", String(34), primary_key=True),
    Column("account_sid", String(34), nullable=False),
    Column("parent_call_sid", String(34)),
    Column("to_address", Text, nullable=False),
    Column("from_address", Text, nullable=False),
    Column("direction", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("date_created_us", BigInteger, nullable=False),
    Column("date_updated_us", BigInteger, nullable=False),
    Column("start_time_us", BigInteger),
    Column("end_time_us", BigInteger),
    Column("caller_name", Text),
    Column("forwarded_from", Text),
    Column("sip_call_id", Text),
    Column("sip_response_code", Integer),
    Index("calls_by_account", "account_sid", "date_created_us"),
    Index("calls_by_parent", "parent_call_sid"),
    Index("calls_by_status", "status"),
)

call_events = Table(
    "call_events",
    metadata,
    Column("position", _Position, primary_key=True, autoincrement=True),
    Column("call_sid", String(34), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Index("call_events_by_call", "call_sid", "position"),
)

call_images = Table(
    "call_images",
    metadata,
    Column("call_sid", String(34), primary_key=True),
    Column("sealed_image", Text, nullable=False),
)

siprecs = Table(
    "siprecs",
    metadata,
    Column("sid", String(34), primary_key=True),
    Column("account_sid", String(34), nullable=False),
    Column("call_sid", String(34), nullable=False),
    Column("name", Text),
    Column("connector_name", Text, nullable=False),
    Column("track", String(16), nullable=False),
    Column("parameters", Text, nullable=False),
    Column("status_callback", Text),
    Column("status_callback_method", String(4), nullable=False),
    Column("started_by", String(16), nullable=False),
    Column("date_created_us", BigInteger, nullable=False),
    Column("date_updated_us", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("stopped_by", String(16)),
    Column("srs_uri", Text),
    Column("sip_call_id", Text),
    Column("accepted_at_us", BigInteger),
    Column("stopped_at_us", BigInteger),
    Column("error_code", Integer),
    Column("error_message", Text),
    Column("invite_ms", Float(53)),
    Column("first_packet_ms", Float(53)),
    Column("packets_sent", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    Index("siprecs_by_call", "call_sid", "date_created_us"),
    Index("siprecs_by_status", "status"),
)

callbacks = Table(
    "callbacks",
    metadata,
    Column("position", _Position, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False),
    Column("account_sid", String(34), nullable=False),
    Column("resource_sid", String(34), nullable=False),
    Column("call_sid", String(34), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("ordering_key", String(64), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("url", Text, nullable=False),
    Column("method", String(4), nullable=False),
    Column("parameters", Text, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("settled_at_us", BigInteger),
    Column("attempts", Integer),
    Column("status_code", Integer),
    Column("error_code", Integer),
    Index("callbacks_by_id", "id", unique=True),
    Index("callbacks_by_call", "call_sid", "position"),
    Index("callbacks_by_state", "state", "position"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("position", _Position, primary_key=True, autoincrement=True),
    Column("sid", String(34), nullable=False),
    Column("sealed_auth_token", Text, nullable=False),
    Column("friendly_name", Text, nullable=False),
    Index("accounts_by_sid", "sid", unique=True),
)

bindings = Table(
    "bindings",
    metadata,
    Column("aor", Text, primary_key=True),
    Column("contacts", Text, nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    Column("position", _Position, primary_key=True, autoincrement=True),
    Column("sid", String(34), nullable=False),
    Column("account_sid", String(34), nullable=False),
    Column("resource_sid", String(34)),
    Column("code", Integer, nullable=False),
    Column("level", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("call_sid", String(34)),
    Column("request_method", String(8)),
    Column("request_url", Text),
    Column("details", Text, nullable=False),
    Index("alerts_by_sid", "sid", unique=True),
    Index("alerts_by_account", "account_sid", "at_us"),
    Index("alerts_by_call", "call_sid"),
)
