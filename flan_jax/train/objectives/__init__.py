"""What a step minimises: one file an objective, and their table."""

from collections.abc import Mapping

from flan_jax.train.objectives.objective import Objective
from flan_jax.train.objectives.sft import SFT

OBJECTIVES: Mapping[str, Objective] = {objective.name: objective for objective in (SFT,)}
