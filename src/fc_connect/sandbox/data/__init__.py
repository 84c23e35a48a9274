"""The entities behind the sandbox's GraphQL: kept in the sandbox's SQLite file, found, changed, seeded."""

from fc_connect.sandbox.data.entities import Entities
from fc_connect.sandbox.data.kinds import KINDS, Kind, Link, create_tables
from fc_connect.sandbox.data.rows import Condition, EntityError, Page, Row, Rows, cursor_of, instant
from fc_connect.sandbox.data.seed import read_seed

__all__ = [
    "KINDS",
    "Condition",
    "Entities",
    "EntityError",
    "Kind",
    "Link",
    "Page",
    "Row",
    "Rows",
    "create_tables",
    "cursor_of",
    "instant",
    "read_seed",
]
