"""What a config trains on and what it holds out: its mixture worked out against the registry.

data.mixture ──names, nested mixtures, NAME@VARIANT──> tree of parts
                └─ data.hold_out: its clusters are evaluated only; their kin are left out
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from flan_jax.config import Config, DataConfig
from flan_jax.data.forms.seqio import expand
from flan_jax.data.registry.loading import load_modules
from flan_jax.data.registry.named import get_task
from flan_jax.data.registry.placed import _capped, _with_sources, with_settings
from flan_jax.data.registry.tables import (
    cluster_names,
    find_mixture,
    get_cluster,
    get_mixture,
    mixture_names,
    task_names,
)
from flan_jax.data.spec.mixture import MixtureSpec, Part
from flan_jax.data.spec.source import SEQIO, TRAIN, VALIDATION
from flan_jax.data.spec.task import MAX_EXAMPLES, TaskSpec
from flan_jax.errors import InputError, unknown


@dataclass(frozen=True)
class Resolved:
    """A mixture worked out against the registry and the held-out clusters.

    Attributes:
        mixture: what is trained on, as the tree of its parts.
        held_out: names of the tasks that are evaluated as unseen.
        left_out: names of the tasks that are left out of training because their cluster is kin to a held-out one.
        asked: names of further tasks that are evaluated, seen or not.
        clusters: task name → cluster, of all tasks that are trained on or evaluated.
        specs: task name → spec of the same tasks, with `data.sources` put in place.
    """

    mixture: Part
    held_out: tuple[str, ...]
    left_out: tuple[str, ...]
    asked: tuple[str, ...]
    clusters: dict[str, str]
    specs: dict[str, TaskSpec]

    @property
    def train(self) -> dict[str, float | None]:
        """Name of each task that is trained on → the rate that stands beside it, in the mixture's order."""
        return {part.name: part.rate for part in self.mixture.leaves()}

    def is_seen(self, cluster: str) -> bool:
        """Whether a task of this cluster counts as seen: one of its cluster, or of a kin cluster, is trained on.

        Source: the rule of FLAN (arXiv 2109.01652).
        """
        return not {cluster, *kin_of(cluster)}.isdisjoint(self.clusters[name] for name in self.train)


def kin_of(cluster: str) -> tuple[str, ...]:
    """The clusters that are left out of training together with this one."""
    others = (name for name in cluster_names() if cluster in get_cluster(name).kin)
    return tuple(dict.fromkeys([*get_cluster(cluster).kin, *others]))


def resolve_run(config: Config) -> Resolved:
    """The tasks that a run trains on and evaluates; see `resolve_mixture`."""
    return resolve_mixture(config.data, asked=config.evaluation.tasks or ())


def resolve_mixture(data: DataConfig, *, asked: Iterable[str] = ()) -> Resolved:
    """The tasks to train on and those held out, and those that are `asked` besides.

    Of mixtures given by name, the tasks of held-out clusters are evaluated and not trained on; a held-out cluster of
    which the mixture has no task is evaluated on all registered tasks of that cluster. Tasks of kin clusters are left
    out of training, unless `data.hold_out_kin` is off.

    Raises:
        InputError: an unknown task, mixture or cluster; a task named one by one for training whose cluster is held out;
            no task left to train on; a source in `data.sources` for a task that is not used, or that is not there.
    """
    load_modules(data.modules)
    whole, named = _whole_tree(data.mixture)
    candidates = {part.name: get_task(part.name) for part in whole.leaves()}
    held_clusters = clusters_named(data.hold_out, "data.hold_out")
    kin = {k for cluster in held_clusters for k in kin_of(cluster)} if data.hold_out_kin else set()
    left_out = tuple(
        name for name, spec in candidates.items() if spec.cluster in kin and spec.cluster not in held_clusters
    )
    _refuse_named(data, {name: candidates[name] for name in candidates if name in named}, held_clusters, kin)
    held_out = _held_tasks(held_clusters, candidates)
    mixture = whole.without({*held_out, *left_out})
    if mixture is None:
        raise InputError(f"data.mixture {data.mixture!r}: no task is left to train on; hold out fewer clusters")
    caps: dict[str, int] = {}
    for part in mixture.leaves():  # what is stored serves each membership: the largest of their caps
        caps[part.name] = max(caps.get(part.name, 0), _cap(part, candidates[part.name], data))
    # a cap by a field's values bounds each value, not the task
    mixture = mixture.with_caps(
        lambda part: None if candidates[part.name].cap_by else _cap(part, candidates[part.name], data)
    )
    others = tuple(name for name in asked if name not in caps and name not in held_out)
    specs = {name: _capped(get_task(name), caps.get(name)) for name in [*caps, *held_out, *others]}
    specs = _with_sources(specs, data.sources, left_out)
    specs = {name: with_settings(spec, data) for name, spec in specs.items()}
    return Resolved(mixture, held_out, left_out, others, {name: spec.cluster for name, spec in specs.items()}, specs)


def _cap(part: Part, spec: TaskSpec, data: DataConfig) -> int:
    """Most training examples of a task as part of one mixture."""
    return data.max_examples or spec.max_examples or part.max_examples or MAX_EXAMPLES


def _whole_tree(mixture: str | tuple[str, ...] | Mapping[str, float]) -> tuple[Part, set[str]]:
    """The tree of what the config names, and the tasks that it names one by one."""
    names = mixture_names()
    if isinstance(mixture, str):
        spec = find_mixture(mixture)
        if spec is not None:
            return _part_of(spec, mixture, None), set()
        if mixture not in task_names() and ":" not in mixture and "@" not in mixture:
            raise unknown("mixture or task", mixture, [*names, *task_names()])
        mixture = (mixture,)
    given = dict(mixture) if isinstance(mixture, Mapping) else dict.fromkeys(mixture)
    parts = tuple(part for name, rate in given.items() for part in _parts(name, rate))
    return Part("data.mixture", parts=parts), {part.name for part in parts if part.parts is None}


def _parts(name: str, rate: float | None) -> Iterator[Part]:
    """What a name in a mixture stands for: a task, a mixture, or the tasks of one that is registered with SeqIO."""
    spec = find_mixture(name)
    if spec is not None:
        yield _part_of(spec, name, rate)
    elif name.startswith(SEQIO):
        shares = expand(name)
        total = sum(share or 1.0 for share in shares.values())
        for task, share in shares.items():
            # a SeqIO mixture's own rates, or its tasks' parts of the rate that is given for it
            yield Part(task, share if rate is None else rate * (share or 1.0) / total)
    else:
        yield Part(name, rate)


def _part_of(spec: MixtureSpec, name: str, rate: float | None, within: tuple[str, ...] = ()) -> Part:
    """The tree of a mixture; of NAME@VARIANT, with the variant on every task in it."""
    if spec.name in within:
        raise InputError(f"mixture '{spec.name}': contains itself ({' in '.join([spec.name, *within])}); take it out")
    variant = name.removeprefix(spec.name)
    given = spec.tasks if isinstance(spec.tasks, Mapping) else dict.fromkeys(spec.tasks)
    parts = []
    for inner, inner_rate in given.items():
        known = find_mixture(inner)
        if known is None:
            parts.append(Part(inner + variant, inner_rate))
        else:
            parts.append(_part_of(known, inner + variant, inner_rate, (spec.name, *within)))
    return Part(name, rate, tuple(parts), spec.maximum, spec.max_examples).handed_down()


def clusters_named(names: Iterable[str], where: str) -> set[str]:
    """The clusters of these names; the paper's name of a cluster stands for all that it covers.

    Raises:
        InputError: no cluster has such a name; `where` opens the sentence.
    """
    known = set(cluster_names())
    clusters: set[str] = set()
    for name in names:
        of_paper = {cluster for cluster in known if get_cluster(cluster).paper == name}
        if name not in known and not of_paper:
            papers = {get_cluster(cluster).paper for cluster in known} - {""}
            raise InputError(f"{where}: {unknown('cluster', name, known | papers)}")
        clusters |= {name} if name in known else of_paper
    return clusters


def tasks_of_mixture(name: str) -> tuple[str, ...]:
    """The tasks of a registered mixture and of the mixtures in it, once each."""
    return tuple(dict.fromkeys(part.name for part in _part_of(get_mixture(name), name, None).leaves()))


def _refuse_named(data: DataConfig, named: Mapping[str, TaskSpec], held_clusters: set[str], kin: set[str]) -> None:
    for name, spec in named.items():
        if spec.cluster in held_clusters:
            why, remedy = "is held out", "the cluster out of data.hold_out"
        elif spec.cluster in kin:
            why, remedy = f"is kin to one that is held out ({', '.join(data.hold_out)})", "set data.hold_out_kin: false"
        else:
            continue
        raise InputError(
            f"data.mixture names '{name}' for training, whose cluster '{spec.cluster}' {why}; take the task out of "
            f"data.mixture or {remedy}"
        )


def _held_tasks(clusters: set[str], candidates: Mapping[str, TaskSpec]) -> tuple[str, ...]:
    """The tasks that are evaluated as unseen: the mixture's, then what only the registry has of these clusters."""
    tasks = [name for name, spec in candidates.items() if spec.cluster in clusters]
    covered = {candidates[name].cluster for name in tasks}
    for name in task_names():
        spec = get_task(name)
        # tasks without training examples stand in no mixture: they are there to be held out
        is_for_this = spec.cluster not in covered or TRAIN not in spec.splits
        if spec.cluster in clusters and is_for_this and name not in tasks and VALIDATION in spec.splits:
            tasks.append(name)
    return tuple(tasks)
