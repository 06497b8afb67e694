"""Columns with their meaning beside them, for the tables of studies and of surfaces."""

from typing import Any

from sqlalchemy import Column, Float, ForeignKey, Integer, LargeBinary, Text


def text(
    name: str,
    comment: str,
    *,
    nullable: bool = False,
    index: bool = False,
    unique: bool | None = None,
) -> Column[str]:
    """A column of texts."""
    return Column(name, Text, nullable=nullable, comment=comment, index=index, unique=unique)


def real(name: str, comment: str, *, nullable: bool = True) -> Column[float]:
    """A column of numbers."""
    return Column(name, Float, nullable=nullable, comment=comment)


def whole(name: str, comment: str, *, nullable: bool = True) -> Column[int]:
    """A column of whole numbers."""
    return Column(name, Integer, nullable=nullable, comment=comment)


def packed(name: str, comment: str) -> Column[bytes]:
    """A column of bytes."""
    return Column(name, LargeBinary, nullable=False, comment=comment)


def within(name: str, key: str, *, index: bool = False, **options: Any) -> Column[Any]:
    """A column that says of which row of another table this one is a part."""
    return Column(name, ForeignKey(key), nullable=False, index=index, **options)
