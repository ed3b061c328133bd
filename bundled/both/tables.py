"""The two-column table that opens a run's log."""


def two_columns(rows):
    """Names and values, aligned and ruled above and below."""
    rows = [(str(name), str(value)) for name, value in rows]
    left, right = (max(len(row[i]) for row in rows) for i in (0, 1))
    rule = f"{'-' * left}  {'-' * right}"
    return "\n".join([rule, *(f"{name:<{left}}  {value}" for name, value in rows), rule])
