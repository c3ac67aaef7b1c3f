"""DynamoDB tables."""

from __future__ import annotations

from gameday.world import seam
from tests.contracts.bench import Bench
from tests.contracts.row import Row, Values

TABLE = "orders"


def table(bench: Bench) -> Values:
    """A table without any protection."""
    bench.client("dynamodb").create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return {"table_name": TABLE}


def erase_table(bench: Bench, values: Values) -> None:
    """Somebody deletes the table."""
    del seam.backend("dynamodb", bench.account, bench.where.region).tables[TABLE]


ROWS = (
    Row(
        "aws.dynamodb.enable-protection", table, erase_table,
        operations=("dynamodb:UpdateTable", "dynamodb:UpdateContinuousBackups"),
    ),
)  # fmt: skip
