"""Attributes of a message that are computed when somebody asks, and kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class Once(Generic[T]):
    """An attribute that is computed when it is first asked for. Unlike the library's it takes no
    lock, which all threads would share: at worst two of them compute it."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, found: None, owner: type) -> Once[T]: ...

    @overload
    def __get__(self, found: object, owner: type) -> T: ...

    def __get__(self, found: object | None, owner: type) -> T | Once[T]:
        if found is None:
            return self
        value = found.__dict__[self._name] = self._compute(found)
        return value
