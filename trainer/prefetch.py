"""The next batches, made by a thread while the device works. numpy's copies release the interpreter's lock."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetch(Generic[T]):
    """Calls `make(first)`, `make(first + step)`, ... in a thread of its own, at most `depth` finished ones ahead.

    A context manager: the thread starts on entering, and has ended on leaving, after the call of `make` that it is in.
    """

    def __init__(self, make: Callable[[int], T], *, first: int, step: int = 1, depth: int = 2) -> None:
        """Raises ValueError if `depth` is below 1."""
        if depth < 1:
            raise ValueError(f"depth must be at least 1, not {depth}")
        self._make, self._at, self._step = make, first, step
        self._done: queue.Queue[T | _Failure] = queue.Queue()
        self._room = threading.Semaphore(depth)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prefetch")

    def __enter__(self) -> Prefetch[T]:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._room.release()
        self._thread.join()

    def next(self) -> tuple[T, float]:
        """The next value, and the seconds that were spent waiting for it. Raises what `make` raised, each time."""
        since = time.perf_counter()
        value = self._done.get()
        if isinstance(value, _Failure):
            self._done.put(value)
            raise value.error
        self._room.release()
        return value, time.perf_counter() - since

    def _run(self) -> None:
        while True:
            self._room.acquire()
            if self._ending.is_set():
                return
            try:
                self._done.put(self._make(self._at))
            except BaseException as error:  # it is next()'s caller who must end, by whatever this is
                self._done.put(_Failure(error))
                return
            self._at += self._step


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error
