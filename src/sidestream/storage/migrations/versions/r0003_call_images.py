"""What live calls are taken up by after a restart."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "call_images",
        sa.Column("call_sid", sa.String(34), nullable=False),
        sa.Column("sealed_image", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("call_sid"),
    )


def downgrade() -> None:
    op.drop_table("call_images")
