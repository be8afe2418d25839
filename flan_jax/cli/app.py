"""The command line: names, arguments and help of every command. The work is in the files beside this one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="flan-jax",
    help="Instruction tuning on templated task mixtures, in JAX: prepare, train, evaluate, generate, export.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
tasks_app = typer.Typer(no_args_is_help=True, help="List the tasks, look at rendered examples, check them.")
store_app = typer.Typer(no_args_is_help=True, help="Check the token store against its checksums.")
config_app = typer.Typer(no_args_is_help=True, help="The settings: JSON schema, a config resolved.")
app.add_typer(tasks_app, name="tasks")
app.add_typer(store_app, name="store")
app.add_typer(config_app, name="config")

ConfigPath = Annotated[
    str, typer.Argument(metavar="CONFIG", help="YAML file, or the name of a bundled one (quickstart).")
]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[a.b=c ...]", help="Settings that differ from the file's.")
]
RunOrConfig = Annotated[str, typer.Argument(metavar="RUN_OR_CONFIG", help="Run folder, YAML file, or bundled config.")]
Checkpoint = Annotated[
    str, typer.Option("--checkpoint", help="latest, best, untuned (the model before tuning), or a step number.")
]
Modules = Annotated[list[str] | None, typer.Option("--module", "-m", help="Python file or package with more tasks.")]

Sources = Annotated[
    list[str] | None,
    typer.Option("--source", metavar="TASK=PATH", help="Local file or folder that a task reads instead of its source."),
]
TokenizerPath = Annotated[
    str | None, typer.Option("--tokenizer", help="Tokenizer that counts tokens: a folder or file; none: no counts.")
]


@tasks_app.command("list")
def tasks_list(
    modules: Modules = None,
    cluster: Annotated[str | None, typer.Option(help="The tasks of this cluster, one by one.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All tasks, one by one.")] = False,
) -> None:
    """List the clusters, tasks and mixtures that are registered."""
    from flan_jax.cli import listing

    listing.list_tasks(tuple(modules or ()), cluster, every=every)


@tasks_app.command("show")
def tasks_show(
    task: Annotated[str, typer.Argument(help="Name of a task.")],
    modules: Modules = None,
    examples: Annotated[int, typer.Option("--examples", "-n", min=1, help="Examples per template.")] = 1,
    mode: Annotated[str, typer.Option(help="instruction, name or none.")] = "instruction",
    options: Annotated[str, typer.Option(help="shown or hidden.")] = "shown",
    split: Annotated[str, typer.Option(help="Split to read.")] = "train",
    source: Annotated[
        str | None, typer.Option(help="Local file or folder to read instead of the task's source.")
    ] = None,
    shots: Annotated[int, typer.Option(min=0, help="Training examples before each question.")] = 0,
    tokenizer: TokenizerPath = None,
) -> None:
    """Show a task: where it comes from, and its templates filled in with real examples, or with its sample."""
    from flan_jax.cli import tasks
    from flan_jax.runs.tasks import shown_task

    shown = shown_task(
        task,
        modules=modules or (),
        count=examples,
        mode=mode,
        options=options,
        split=split,
        source=source,
        shots=shots,
    )
    tasks.show_task(shown, tokenizer=tokenizer)


@tasks_app.command("check")
def tasks_check(
    names: Annotated[list[str] | None, typer.Argument(help="Tasks or mixtures; none: every task.")] = None,
    modules: Modules = None,
    cluster: Annotated[str | None, typer.Option(help="Only the tasks of this cluster.")] = None,
    sources: Sources = None,
    records: Annotated[int, typer.Option("--records", "-n", min=1, help="Records tried of each task.")] = 20,
) -> None:
    """Hold tasks against the published form of their data sets and render them in every way; needs no network."""
    from flan_jax.cli import check
    from flan_jax.cli.tasks import named_paths
    from flan_jax.runs.tasks import chosen_tasks

    specs = chosen_tasks(names or (), modules=modules or (), cluster=cluster, sources=named_paths(sources or ()))
    check.run(specs, num_records=records, by_task=bool(names or cluster))


@tasks_app.command("page")
def tasks_page(
    out: Annotated[Path, typer.Argument(metavar="OUT.html", help="File to write.")],
    modules: Modules = None,
    cluster: Annotated[str | None, typer.Option(help="Only the tasks of this cluster.")] = None,
    sources: Sources = None,
    tokenizer: TokenizerPath = None,
) -> None:
    """Write every task with its templates filled in as one HTML file, to look at in a browser."""
    from flan_jax.cli import page
    from flan_jax.cli.tasks import named_paths
    from flan_jax.runs.tasks import chosen_tasks

    specs = chosen_tasks(modules=modules or (), cluster=cluster, sources=named_paths(sources or ()))
    page.run(out, specs, tokenizer=tokenizer)


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON schema of a config file."""
    import json

    from flan_jax.config import Config

    print(json.dumps(Config.model_json_schema(), indent=2))


@config_app.command("show")
def config_show(config: ConfigPath, overrides: Overrides = None) -> None:
    """Print a config with every default filled in."""
    from flan_jax.runs.configs import read_config

    print(read_config(config, overrides or ()).config.to_yaml(), end="")


@app.command(short_help="Build the token store.")
def prepare(
    config: ConfigPath,
    overrides: Overrides = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes that render and tokenize; as data.prepare_processes.")
    ] = None,
    runner: Annotated[
        str | None,
        typer.Option(help="Build on Apache Beam: direct, flink, spark or dataflow; its options follow after --."),
    ] = None,
) -> None:
    """Read, render and tokenize the mixture into the token store; a second run finds it and does nothing.

    A run that was killed goes on where it was: finished shards are used again.
    """
    from flan_jax.cli import prepare as command
    from flan_jax.runs.configs import open_config

    words = [word for word in overrides or () if not word.startswith("--")]
    flags = [word for word in overrides or () if word.startswith("--")]  # they come after a bare --
    words += [] if processes is None else [f"data.prepare_processes={processes}"]
    command.run(open_config(config, words), runner=runner, flags=flags)


@app.command(short_help="Show what a run would do.")
def inspect(
    config: ConfigPath,
    overrides: Overrides = None,
    rows: Annotated[int, typer.Option(min=0, help="Packed rows to show token by token.")] = 3,
) -> None:
    """Show what a run would do: the config, the realised mixture, packed rows, parameters and their sharding."""
    from flan_jax.cli import inspect as command
    from flan_jax.runs.configs import open_config

    command.run(open_config(config, overrides or ()), rows=rows)


@app.command(short_help="Train, or go on where the run stopped.")
def train(config: ConfigPath, overrides: Overrides = None) -> None:
    """Train, or go on where the run stopped; prepares first when the store is not there."""
    from flan_jax.cli import train as command
    from flan_jax.runs.configs import open_config

    command.run(open_config(config, overrides or ()))


@app.command(short_help="Measure a model on its tasks.")
def evaluate(
    run_or_config: RunOrConfig,
    overrides: Overrides = None,
    checkpoint: Checkpoint = "latest",
    out: Annotated[Path | None, typer.Option(help="Folder for results; none: evaluations/ in the run folder.")] = None,
) -> None:
    """Measure a model on its mixture's tasks and on the held-out clusters."""
    from flan_jax.cli import evaluate as command
    from flan_jax.runs.configs import open_run_or_config

    command.run(open_run_or_config(run_or_config, overrides or ()), checkpoint=checkpoint, out=out)


@app.command(short_help="Find leaked and doubled examples.")
def contamination(config: ConfigPath, overrides: Overrides = None) -> None:
    """Find evaluation examples that leaked into the prepared training store, and duplicates within it."""
    from flan_jax.cli import contamination as command
    from flan_jax.runs.configs import open_config

    command.run(open_config(config, overrides or ()))


@app.command(short_help="Answer prompts, or hold a conversation.")
def generate(
    run: RunOrConfig,
    overrides: Overrides = None,
    prompt: Annotated[list[str] | None, typer.Option("--prompt", "-p", help="What to answer; may be repeated.")] = None,
    checkpoint: Checkpoint = "latest",
) -> None:
    """Answer prompts; without any, hold a conversation."""
    from flan_jax.cli import generate as command
    from flan_jax.runs.configs import open_run_or_config

    command.run(open_run_or_config(run, overrides or ()), prompts=prompt or [], checkpoint=checkpoint)


@app.command(short_help="Write weights for Hugging Face tools.")
def export(
    run: RunOrConfig,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write; must not exist or be empty.")],
    form: Annotated[str, typer.Option("--format", help="peft (the adapter) or huggingface (merged weights).")] = "peft",
    checkpoint: Checkpoint = "latest",
    dtype: Annotated[
        str, typer.Option(help="Type of merged weights: float32 or bfloat16 (half the size, rounded).")
    ] = "float32",
) -> None:
    """Write the adapter or the merged weights in the form Hugging Face tools load, with a parity report."""
    from flan_jax.cli import export as command
    from flan_jax.runs.configs import open_run_or_config

    command.run(open_run_or_config(run, ()), out=out, form=form, checkpoint=checkpoint, dtype=dtype)


@store_app.command("verify")
def store_verify(config: ConfigPath, overrides: Overrides = None) -> None:
    """Read every record of the store and compare it with its checksums."""
    from flan_jax.cli import prepare as command
    from flan_jax.runs.configs import read_config

    command.verify(read_config(config, overrides or ()))


@app.command(short_help="Show versions, devices, what is missing.")
def doctor() -> None:
    """Show versions, devices and memory, and what is missing for what."""
    from flan_jax.cli import doctor as command

    command.run()


@app.command(short_help="Fetch, measure, tune, measure, export.")
def quickstart(overrides: Overrides = None) -> None:
    """Fetch a small real model, measure it, tune it, measure again, answer three prompts, export the adapter."""
    from flan_jax.cli import quickstart as command
    from flan_jax.runs.configs import read_config

    command.run(read_config("quickstart", overrides or ()))


@app.command(short_help="Print the version.")
def version() -> None:
    """Print the version."""
    from flan_jax.version import __version__

    print(__version__)
