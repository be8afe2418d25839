"""`flan-jax inspect`: what a run would do, before it is paid for."""

from __future__ import annotations

import jax
from jax.sharding import Mesh
from rich.console import Console
from rich.rule import Rule
from rich.syntax import Syntax

from flan_jax.data.plan.loader import Loader
from flan_jax.data.plan.plan import Plan, make_plan
from flan_jax.data.plan.shares import mixture_report
from flan_jax.data.prepare.opened import Prepared
from flan_jax.data.registry.resolve import resolve_run
from flan_jax.model.blueprint import Blueprint, flat_parameters
from flan_jax.parallel.mesh import spec_for
from flan_jax.report.console import ParameterLine, fill_lines, make_console, parameter_table, share_table
from flan_jax.report.tokens import row_view
from flan_jax.runs.configs import ConfigFile
from flan_jax.runs.model import check_model
from flan_jax.runs.open import Text, open_text, start_jax
from flan_jax.runs.prepare import ensure_prepared


def run(source: ConfigFile, *, rows: int) -> None:
    """Print the resolved config, the mixture's shares, packed rows, and the parameters. Reads no weights."""
    config = source.config
    start_jax(config)
    console = make_console()
    text = open_text(config)
    blueprint, mesh = check_model(config, text)
    prepared = ensure_prepared(config, text, resolve_run(config))
    console.print(Rule("config", align="left"), Syntax(config.to_yaml(), "yaml", background_color="default"))
    plan = make_plan(config, prepared.train, prepared.resolved.mixture)
    _show_mixture(console, plan, prepared)
    _show_rows(console, plan, prepared, text, blueprint, rows)
    console.print(parameter_table(_parameters(blueprint, mesh), title=f"Parameters on mesh {dict(mesh.shape)}"))


def _show_mixture(console: Console, plan: Plan, prepared: Prepared) -> None:
    report = mixture_report(plan)
    console.print(share_table(report, title=f"Mixture, first window of {report.num_batches} batches"))
    console.print(fill_lines(report))
    if prepared.resolved.held_out:
        console.print(f"held out, evaluated only: {', '.join(prepared.resolved.held_out)}", highlight=False)
    if prepared.resolved.left_out:
        console.print(f"left out as their kin: {', '.join(prepared.resolved.left_out)}", highlight=False)


def _show_rows(console: Console, plan: Plan, prepared: Prepared, text: Text, blueprint: Blueprint, count: int) -> None:
    """The first rows that the run will read."""
    shown = 0
    whole = slice(0, plan.rows)
    start, start_id = plan.start(), blueprint.architecture.decoder_start_token_id
    with Loader(plan, prepared.train, rows=whole, position=start, workers=0, decoder_start_id=start_id) as loader:
        while shown < count:
            batch, position = next(loader)
            for row in range(min(plan.rows, count - shown)):
                console.print(Rule(f"step {position.step}, row {row}", align="left"))
                console.print(row_view(batch, row, task_names=plan.tasks, token=text.tokenizer.token))
                shown += 1


def _parameters(blueprint: Blueprint, mesh: Mesh) -> list[ParameterLine]:
    _, tuned, frozen = blueprint.abstract()
    lines = []
    for state, is_tuned in ((tuned, True), (frozen, False)):
        for path, variable in flat_parameters(state).items():
            value: jax.ShapeDtypeStruct = variable.get_value()
            spec = spec_for(variable.get_metadata("axes"), value.shape, mesh, f"parameter {path}")
            axes = ", ".join("×".join(entry) if isinstance(entry, tuple) else entry or "·" for entry in spec)
            lines.append(ParameterLine(path, value.shape, str(value.dtype), axes, is_tuned))
    return lines
