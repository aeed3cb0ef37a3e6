"""What a glob wants of each folder that it leads into, told without listing any of them."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

from onnx_reciprocam.dataset.places import ending, is_url
from onnx_reciprocam.runtime.images import ENDINGS

_ANY_DEPTH = "**"


@dataclass(frozen=True)
class Pattern:
    """Names with wildcards, a step per level: an automaton that reads a path's names one after the other.

    A state is how many steps are behind; after the last one comes a folder that matched, whose pictures are wanted at
    any depth. Several states hold at once where ``**`` may be any number of levels, so a picture is found once however
    many ways lead to it.

    Args:
        folder: Above all that matches; empty for the working folder.
        steps: A name with wildcards for each level below; none for all pictures at any depth.
        files: Whether files match the last step; a glob that ends in a slash means folders.
    """

    folder: str
    steps: tuple[str, ...] = ()
    files: bool = True

    @classmethod
    def of(cls, place: str) -> Pattern:
        """A path or URL with wildcards from some level on."""
        scheme, mark, path = place.partition("://") if is_url(place) else ("", "", place.replace(os.sep, "/"))
        names = path.split("/")
        first = next((i for i, name in enumerate(names) if glob.has_magic(name)), len(names))
        folder = "/".join(names[:first]) or ("/" if first and not mark else "")
        return cls(scheme + mark + folder, tuple(filter(None, names[first:])), files=bool(names[-1]))

    def begin(self) -> frozenset[int]:
        """The states in :attr:`folder`."""
        return self._spread({0})

    def takes(self, states: frozenset[int], name: str) -> bool:
        """Whether a file in a folder with those states is wanted, if it is of a kind that is read."""
        last = len(self.steps) - 1
        if last + 1 in states and _is_seen(name) and ending(name) in ENDINGS:
            return True
        return self.files and last >= 0 and last in states and _fits(self.steps[last], name)

    def enter(self, states: frozenset[int], name: str, *, again: bool = False) -> frozenset[int]:
        """The states in a folder of a folder with those states; none if nothing there is wanted.

        Args:
            states: Of the folder above.
            name: Of the folder.
            again: Whether it is one of those above it, by a link: nothing goes round at any depth.
        """
        found = set()
        for state in states:
            if self._goes_deep(state):
                found |= {state} if _is_seen(name) else set()
            elif _fits(self.steps[state], name):
                found.add(state + 1)
        return self._spread({state for state in found if not (again and self._goes_deep(state))})

    def _goes_deep(self, state: int) -> bool:
        """Whether it holds at any depth below."""
        return state == len(self.steps) or self.steps[state] == _ANY_DEPTH

    def _spread(self, states: set[int]) -> frozenset[int]:
        """With those that ``**`` leads to as no level at all."""
        for state, step in enumerate(self.steps):
            if state in states and step == _ANY_DEPTH:
                states.add(state + 1)
        return frozenset(states)


def _is_seen(name: str) -> bool:
    """Hidden ones are left out; ``._a.jpg`` and what lies in ``__MACOSX`` are no pictures."""
    return not name.startswith(".") and name != "__MACOSX"


def _fits(step: str, name: str) -> bool:
    """As a shell has it: a hidden name has to be asked for."""
    if step == _ANY_DEPTH:
        return _is_seen(name)
    return (step.startswith(".") or not name.startswith(".")) and _matcher(step).match(name) is not None


@lru_cache(maxsize=64)
def _matcher(step: str) -> re.Pattern[str]:
    return re.compile(translate(os.path.normcase(step)) if glob.has_magic(step) else f"{re.escape(step)}\\Z")
