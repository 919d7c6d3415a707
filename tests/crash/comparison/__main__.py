"""``python -m tests.crash.comparison``: the table in docs/durability.md."""

from tests.crash.comparison.table import figures, rows

for row in rows(figures()):
    print(row)
