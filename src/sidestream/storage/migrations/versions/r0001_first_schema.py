"""The first schema: calls with their timelines, Siprecs, callbacks, accounts and alerts."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("sid", sa.String(length=34), nullable=False),
        sa.Column("sealed_auth_token", sa.Text(), nullable=False),
        sa.Column("friendly_name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
    )
    op.create_index("accounts_by_sid", "accounts", ["sid"], unique=True)
    op.create_table(
        "alerts",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("sid", sa.String(length=34), nullable=False),
        sa.Column("account_sid", sa.String(length=34), nullable=False),
        sa.Column("resource_sid", sa.String(length=34), nullable=True),
        sa.Column("code", sa.Integer(), nullable=False),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("call_sid", sa.String(length=34), nullable=True),
        sa.Column("request_method", sa.String(length=8), nullable=True),
        sa.Column("request_url", sa.Text(), nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
    )
    op.create_index("alerts_by_account", "alerts", ["account_sid", "at_us"], unique=False)
    op.create_index("alerts_by_call", "alerts", ["call_sid"], unique=False)
    op.create_index("alerts_by_sid", "alerts", ["sid"], unique=True)
    op.create_table(
        "call_events",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("call_sid", sa.String(length=34), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
    )
    op.create_index("call_events_by_call", "call_events", ["call_sid", "position"], unique=False)
    op.create_table(
        "callbacks",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("account_sid", sa.String(length=34), nullable=False),
        sa.Column("resource_sid", sa.String(length=34), nullable=False),
        sa.Column("call_sid", sa.String(length=34), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("ordering_key", sa.String(length=64), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("method", sa.String(length=4), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("settled_at_us", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=True),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("error_code", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("position"),
    )
    op.create_index("callbacks_by_call", "callbacks", ["call_sid", "position"], unique=False)
    op.create_index("callbacks_by_id", "callbacks", ["id"], unique=True)
    op.create_index("callbacks_by_state", "callbacks", ["state", "position"], unique=False)
    op.create_table(
        "calls",
        sa.Column("sid", sa.String(length=34), nullable=False),
        sa.Column("account_sid", sa.String(length=34), nullable=False),
        sa.Column("parent_call_sid", sa.String(length=34), nullable=True),
        sa.Column("to_address", sa.Text(), nullable=False),
        sa.Column("from_address", sa.Text(), nullable=False),
        sa.Column("direction", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("date_created_us", sa.BigInteger(), nullable=False),
        sa.Column("date_updated_us", sa.BigInteger(), nullable=False),
        sa.Column("start_time_us", sa.BigInteger(), nullable=True),
        sa.Column("end_time_us", sa.BigInteger(), nullable=True),
        sa.Column("caller_name", sa.Text(), nullable=True),
        sa.Column("forwarded_from", sa.Text(), nullable=True),
        sa.Column("sip_call_id", sa.Text(), nullable=True),
        sa.Column("sip_response_code", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("sid"),
    )
    op.create_index("calls_by_account", "calls", ["account_sid", "date_created_us"], unique=False)
    op.create_index("calls_by_parent", "calls", ["parent_call_sid"], unique=False)
    op.create_index("calls_by_status", "calls", ["status"], unique=False)
    op.create_table(
        "siprecs",
        sa.Column("sid", sa.String(length=34), nullable=False),
        sa.Column("account_sid", sa.String(length=34), nullable=False),
        sa.Column("call_sid", sa.String(length=34), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("connector_name", sa.Text(), nullable=False),
        sa.Column("track", sa.String(length=16), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("status_callback", sa.Text(), nullable=True),
        sa.Column("status_callback_method", sa.String(length=4), nullable=False),
        sa.Column("started_by", sa.String(length=16), nullable=False),
        sa.Column("date_created_us", sa.BigInteger(), nullable=False),
        sa.Column("date_updated_us", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("stopped_by", sa.String(length=16), nullable=True),
        sa.Column("srs_uri", sa.Text(), nullable=True),
        sa.Column("sip_call_id", sa.Text(), nullable=True),
        sa.Column("accepted_at_us", sa.BigInteger(), nullable=True),
        sa.Column("stopped_at_us", sa.BigInteger(), nullable=True),
        sa.Column("error_code", sa.Integer(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("invite_ms", sa.Float(precision=53), nullable=True),
        sa.Column("first_packet_ms", sa.Float(precision=53), nullable=True),
        sa.Column("packets_sent", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sid"),
    )
    op.create_index("siprecs_by_call", "siprecs", ["call_sid", "date_created_us"], unique=False)
    op.create_index("siprecs_by_status", "siprecs", ["status"], unique=False)


def downgrade() -> None:
    op.drop_index("siprecs_by_status", table_name="siprecs")
    op.drop_index("siprecs_by_call", table_name="siprecs")
    op.drop_table("siprecs")
    op.drop_index("calls_by_status", table_name="calls")
    op.drop_index("calls_by_parent", table_name="calls")
    op.drop_index("calls_by_account", table_name="calls")
    op.drop_table("calls")
    op.drop_index("callbacks_by_state", table_name="callbacks")
    op.drop_index("callbacks_by_id", table_name="callbacks")
    op.drop_index("callbacks_by_call", table_name="callbacks")
    op.drop_table("callbacks")
    op.drop_index("call_events_by_call", table_name="call_events")
    op.drop_table("call_events")
    op.drop_index("alerts_by_sid", table_name="alerts")
    op.drop_index("alerts_by_call", table_name="alerts")
    op.drop_index("alerts_by_account", table_name="alerts")
    op.drop_table("alerts")
    op.drop_index("accounts_by_sid", table_name="accounts")
    op.drop_table("accounts")
