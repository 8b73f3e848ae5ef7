"""A NumPy computation that asks a JAX program for values while it runs.

A callback must not start another JAX computation, compiled beforehand or not: where the main
thread does not wait for the result but goes on to dispatch operations, the two come to wait for
each other (the number of computations in flight is bounded), and the process hangs, on one core
and on two. So the roles are turned round: the NumPy computation runs in a thread of its own and
*asks*; the JAX program is a loop that takes a question from a callback, computes the answer as
part of itself, and hands it over with the next callback. A callback only ever waits for NumPy.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

#: ``ask(number, z) -> answer``: what a computation asks with.
Ask = Callable[[int, np.ndarray], np.ndarray]

#: The number of the last message, which is not a question.
DONE = -1


class Dialogue:
    """One running computation.

    Parameters
    ----------
    compute : callable
        ``compute(ask) -> result``, run in a thread of its own.
    """

    def __init__(self, compute: Callable[[Ask], Any]) -> None:
        self._questions: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()
        self._turn, self._last = -1, (DONE, None)
        threading.Thread(target=self._run, args=(compute,), daemon=True).start()

    def question(self, turn: int, answer: np.ndarray | None = None) -> tuple[int, Any]:
        """Hand over the answer to the question before, and wait for the next one.

        Parameters
        ----------
        turn : int
            The number of the question, from 0 on. Asked again for the same one, as a program
            that was told that its callbacks are pure may do, it says the same again.
        answer : ndarray, optional
            To question ``turn - 1``.

        Returns
        -------
        number : int
            What is asked for; :data:`DONE` at the end.
        z : ndarray or object
            The argument; at the end, the result of the computation.
        """
        if turn != self._turn:
            if answer is not None:
                self._answers.put(answer)
            self._last = self._questions.get()
            self._turn = turn
        number, z = self._last
        if isinstance(z, BaseException):
            raise z
        return number, z

    def _run(self, compute: Callable[[Ask], Any]) -> None:
        try:
            result = compute(self._ask)
        except BaseException as error:  # handed to the callback, which raises it
            result = error
        self._questions.put((DONE, result))

    def _ask(self, number: int, z: np.ndarray) -> np.ndarray:
        self._questions.put((number, z))
        return self._answers.get()


class Dialogues:
    """The computations that are running, by number."""

    def __init__(self) -> None:
        self._running: dict[int, Dialogue] = {}
        self._numbers = itertools.count()

    def begin(self, compute: Callable[[Ask], Any]) -> int:
        """Start a computation; its number."""
        number = next(self._numbers) % 2**31
        self._running[number] = Dialogue(compute)
        return number

    def question(self, number: int, turn: int, answer: np.ndarray | None = None) -> tuple[int, Any]:
        """As :meth:`Dialogue.question`."""
        try:
            return self._running[number].question(turn, answer)
        except BaseException:
            self._running.pop(number, None)
            raise

    def result(self, number: int, turn: int) -> Any:
        """The result of a computation that is done; it is forgotten then."""
        return self._running.pop(number).question(turn)[1]
