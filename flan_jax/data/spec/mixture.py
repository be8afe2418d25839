"""What a mixture is: tasks and other mixtures, with rates or without, and the tree it makes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace

MIXING_MAXIMUM = 3_000  # largest example count that counts for proportional mixing (the same)


@dataclass(frozen=True)
class MixtureSpec:
    """A named set of tasks and of other mixtures, with rates or without.

    Entries with rates share the mixture in their proportion, whatever lies inside them. Entries without rates share it
    by their training examples, up to `maximum` a task, or equally, as `data.mixing` says.

    Attributes:
        name: unique name.
        tasks: names of tasks or mixtures, with rates or without.
        description: one sentence for `tasks list`.
        max_examples: most training examples of each task in it; none: that of the mixture around it, else MAX_EXAMPLES.
        maximum: largest example count that counts for its proportional mixing; none: that of the mixture around it,
            else MIXING_MAXIMUM.
    """

    name: str
    tasks: tuple[str, ...] | Mapping[str, float]
    description: str = ""
    max_examples: int | None = None
    maximum: int | None = None


@dataclass(frozen=True)
class ClusterSpec:
    """What is known of a cluster of tasks.

    Attributes:
        name: its name here, on its tasks; FLAN's code names where the cluster is FLAN's.
        paper: the name of the coarser cluster that the FLAN paper puts it in (arXiv 2109.01652).
        title: its name in plain words.
        kin: clusters that are left out of training where this one is held out; the rule holds both ways.
    """

    name: str
    paper: str = ""
    title: str = ""
    kin: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """A task in a mixture, or a mixture: a tree whose leaves are tasks.

    Attributes:
        name: of the task or mixture.
        rate: what stands beside it in the mixture around it; none where nothing does.
        parts: of a mixture; none: it is a task.
        maximum: largest example count that counts for proportional mixing; none: MIXING_MAXIMUM.
        max_examples: most training examples of a task; none: MAX_EXAMPLES.
    """

    name: str
    rate: float | None = None
    parts: tuple[Part, ...] | None = None
    maximum: int | None = None
    max_examples: int | None = None

    def leaves(self) -> Iterator[Part]:
        """The tasks in it, in order; a task that stands in several mixtures comes as often."""
        if self.parts is None:
            yield self
        for part in self.parts or ():
            yield from part.leaves()

    def without(self, names: Collection[str]) -> Part | None:
        """The tree without these tasks; none where nothing is left of it."""
        if self.parts is None:
            return None if self.name in names else self
        kept = tuple(part for part in (part.without(names) for part in self.parts) if part is not None)
        return replace(self, parts=kept) if kept else None

    def with_caps(self, cap: Callable[[Part], int | None]) -> Part:
        """The tree with this cap on each of its tasks."""
        if self.parts is None:
            return replace(self, max_examples=cap(self))
        return replace(self, parts=tuple(part.with_caps(cap) for part in self.parts))

    def handed_down(self) -> Part:
        """The tree with its caps on every part that states none of its own."""
        if self.parts is None:
            return self
        given = (
            replace(
                part,
                maximum=self.maximum if part.maximum is None else part.maximum,
                max_examples=self.max_examples if part.max_examples is None else part.max_examples,
            )
            for part in self.parts
        )
        return replace(self, parts=tuple(part.handed_down() for part in given))
