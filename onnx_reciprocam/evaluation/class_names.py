"""From a data set's class names to the network's class numbers."""

from __future__ import annotations

import difflib
import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

_NUMBER = re.compile(r"([0-9]{1,9})(?:\.0)?")  # pandas writes whole numbers so where some are missing.
_FIGURE = re.compile(r"-?[0-9]+(?:\.[0-9]*)?")
_WNID = re.compile(r"n[0-9]{8}")


class ClassNames:
    """What the names and numbers of classes mean to a network.

    A name is the label that equals it; else the one that does but for case, spaces and underscores; else the one that
    has it as a synonym: ``tench`` is ``n01440764 tench, Tinca tinca``, and ``n01440764`` is it too.

    Args:
        labels: The network's class names, in its order; empty where they are unknown.
        classes: How many classes it has; None where that is unknown.
    """

    def __init__(self, labels: Sequence[str] = (), classes: int | None = None) -> None:
        self.labels, self.classes = tuple(labels), classes
        spellings: tuple[Callable[[str], Iterable[str]], ...] = (lambda label: (label,), lambda label: (_plain(label),))
        self._tiers = [_index(self.labels, spelling) for spelling in (*spellings, _synonyms)]

    def number(self, name: str) -> int:
        """The class that a name or a whole number stands for.

        Raises:
            ValueError: None, or more than one.
        """
        if match := _NUMBER.fullmatch(name):
            return self._within(int(match[1]), name)
        if (number := self._named(name)) is None:
            raise ValueError(f"{self.unknown(name)}; {self.remedy}")
        return number

    def numbers(self, names: Collection[str], otherwise: Mapping[str, int] | None, remedy: str) -> dict[str, int]:
        """The classes of all names: as numbers if they all are, by label if one fits, else ``otherwise``.

        Args:
            names: Distinct.
            otherwise: Used if no name is a label; None where nothing else says.
            remedy: What to do where nothing helps.

        Raises:
            ValueError: A name stands for no class, or for more than one.
        """
        if all(_NUMBER.fullmatch(name) for name in names):
            return {name: self.number(name) for name in names}
        found = {name: number for name in names if (number := self._named(name)) is not None}
        if not found and otherwise is not None:
            return {name: self._within(otherwise[name], name) for name in names}
        if missing := [name for name in names if name not in found]:
            others = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise ValueError(f"{self.unknown(missing[0])}{others}; {remedy}")
        return found

    def unknown(self, name: str) -> str:
        """Why no class is called so."""
        if not self.labels:
            number = (
                "is no class number" if _FIGURE.fullmatch(name) else "is a class name, but the network's are not known"
            )
            return f"{name!r} {number}"
        close = difflib.get_close_matches(name, self.labels, n=3)
        hint = f" (did you mean {' or '.join(map(repr, close))}?)" if close else ""
        return f"none of the {len(self.labels)} labels is {name!r}{hint}"

    @property
    def remedy(self) -> str:
        """What to do about an unknown name."""
        more = "correct the name" if self.labels else "give --labels FILE with one class name per line"
        return f"{more}, or write the class number"

    def _named(self, name: str) -> int | None:
        for tier, spelled in zip(self._tiers, (name, _plain(name), _plain(name)), strict=True):
            if numbers := tier.get(spelled):
                if len(numbers) > 1:
                    which = ", ".join(map(str, numbers))
                    raise ValueError(f"{name!r} is the name of classes {which}; write the class number instead")
                return self._within(numbers[0], name)
        return None

    def _within(self, number: int, name: str) -> int:
        count = self.classes or len(self.labels)
        if count and number >= count:
            which = f"class {name}" if name == str(number) else f"{name!r} is class {number}, which"
            raise ValueError(f"{which} is not among the network's {count}, 0 to {count - 1}; correct it")
        return number


def places(names: Collection[str], classes: int | None) -> dict[str, int] | None:
    """Each name's place in the sorted list, if there is one name per class."""
    return {name: place for place, name in enumerate(sorted(names))} if len(names) == classes else None


def are_wnids(names: Iterable[str]) -> bool:
    """Whether all are WordNet numbers, the names of ImageNet's classes."""
    return all(_WNID.fullmatch(name) for name in names)


def _index(labels: Sequence[str], spellings: Callable[[str], Iterable[str]]) -> dict[str, list[int]]:
    index: dict[str, list[int]] = {}
    for number, label in enumerate(labels):
        for spelling in dict.fromkeys(filter(None, spellings(label))):
            index.setdefault(spelling, []).append(number)
    return index


def _plain(name: str) -> str:
    """Without case, spaces and underscores, and composed: macOS spells accents of file names apart."""
    return re.sub(r"[\s_]+", "", unicodedata.normalize("NFKC", name).casefold())


def _synonyms(label: str) -> list[str]:
    wnid, _, rest = label.strip().partition(" ")
    if _WNID.fullmatch(wnid):
        return [wnid, _plain(rest), *map(_plain, rest.split(","))]
    return [_plain(part) for part in label.split(",")]
