"""How a configuration reads."""


def several(count: int, what: str, more: str | None = None) -> str:
    """`1 launch`, `2 launches`."""
    return f"{count} {what if count == 1 else more or what + 's'}"
