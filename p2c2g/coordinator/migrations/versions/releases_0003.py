"""Releases that peers install, and what became of them there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make their tables."""
    op.create_table(
        "release_keys",
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("public", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_release_keys")),
    )
    op.create_table(
        "releases",
        sa.Column("serial", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("stopped", sa.Double(), nullable=True),
        sa.Column("stop_reason", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_releases")),
    )
    op.create_table(
        "wheels",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_wheels")),
    )
    op.create_table(
        "release_reports",
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.Column("peer_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("result", sa.String(length=16), nullable=False),
        sa.Column("why", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["serial"], ["releases.serial"], name=op.f("fk_release_reports_serial")
        ),
        sa.ForeignKeyConstraint(
            ["peer_id"], ["principals.id"], name=op.f("fk_release_reports_peer_id")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_release_reports_account_id")
        ),
        sa.PrimaryKeyConstraint("serial", "peer_id", name=op.f("pk_release_reports")),
    )
