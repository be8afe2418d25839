"""Every setting, once: frozen pydantic models. `config_file` reads them.

A file holds only what differs from the defaults below. Each field says whether a resumed run must keep it
(`fixed`) or may change it (`free`); `differences` compares two configs by that mark. Nothing here imports JAX.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator


def fixed(default: Any = ..., description: str = "", **limits: Any) -> Any:
    """A field that a resumed run must keep."""
    return Field(default, description=description, json_schema_extra={"resume": "fixed"}, **limits)


def free(default: Any = ..., description: str = "", **limits: Any) -> Any:
    """A field that a resumed run may change."""
    return Field(default, description=description, json_schema_extra={"resume": "free"}, **limits)


TemplateMode = Literal["instruction", "name", "none"]
TEMPLATE_MODES: tuple[TemplateMode, ...] = get_args(TemplateMode)
OptionStyle = Literal["dash", "letters", "numbers", "parentheses", "varied"]


class Section(BaseModel):
    """A group of settings: frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class RunConfig(Section):
    """Where the run lives, and its seed."""

    dir: str = free("runs/default", "Folder of the run; the same folder starts and resumes it.")
    seed: int = fixed(0, "Seed of new weights, dropout and data order.", ge=0, lt=2**31)


class ModelConfig(Section):
    """The pretrained model and how it computes."""

    path: str | None = fixed(
        None, "Model folder, .gguf file, or hub name org/name[@revision]; none with `architecture`."
    )
    tokenizer: str | None = fixed(None, "Tokenizer folder, file or hub name; none: beside the weights.")
    architecture: dict[str, Any] | None = fixed(
        None, "Settings in the form of a Hugging Face config.json, to start from random weights."
    )
    compute_dtype: Literal["bfloat16", "float32"] = fixed("bfloat16", "Type of activations and matrix products.")
    frozen_dtype: Literal["bfloat16", "float32"] = fixed(
        "bfloat16", "Type in which weights that are not tuned are kept."
    )
    dropout: float | None = fixed(None, "Dropout rate in training; none: the architecture's own.", ge=0, lt=1)
    remat: Literal["none", "dots", "full"] = free(
        "dots", "What the backward pass computes again to save memory: nothing; all but matrix products; whole layers."
    )
    scan_unroll: int = free(1, "Layers unrolled in one step of the layer scan.", ge=1)

    @model_validator(mode="after")
    def _one_origin(self) -> ModelConfig:
        if self.path is not None and self.architecture is not None:
            raise ValueError("give 'path' (pretrained weights) or 'architecture' (random weights), not both")
        return self


class LoraConfig(Section):
    """Low-rank adapters (Hu et al., 2021)."""

    rank: int = fixed(16, "Rank of the adapters.", ge=1)
    alpha: float = fixed(32.0, "Scale numerator: alpha / rank, or alpha / sqrt(rank) for rslora.", gt=0)
    scaling: Literal["lora", "rslora"] = fixed("lora", "lora: alpha / rank; rslora: alpha / sqrt(rank).")
    dropout: float = fixed(0.0, "Dropout rate on the adapter's input.", ge=0, lt=1)
    targets: tuple[str, ...] = fixed(
        ("all-linear",), "Projections that get an adapter, by our name or Hugging Face's; all-linear: every one."
    )
    adapter: str | None = fixed(None, "PEFT adapter folder or hub name to start from; none: a fresh adapter.")


class TuningConfig(Section):
    """What is trained."""

    method: Literal["lora", "full"] = fixed("lora", "lora: adapters only; full: every weight.")
    lora: LoraConfig = LoraConfig()


class ChatConfig(Section):
    """How examples become conversations for a model with a chat template."""

    system: str = fixed("default", "none: no system turn; default: what the template inserts by itself; else the text.")


class MixingConfig(Section):
    """How many examples of each task a window holds."""

    rule: Literal["auto", "proportional", "equal", "rates"] = fixed(
        "auto", "proportional: by example count up to `maximum`; equal; rates: the mixture's own; auto: these, if any."
    )
    maximum: int | None = fixed(
        None, "Largest example count that counts for proportional mixing; none: the mixture's own, else 3,000.", ge=1
    )
    temperature: float = fixed(1.0, "The rates of all tasks are raised to 1 / temperature.", gt=0)


class Stage(Section):
    """Rates that hold from a step on."""

    from_step: int = fixed(..., "First optimizer step of the stage; it begins at the next window boundary.", ge=0)
    rates: dict[str, float] = fixed(
        ..., "Rates of tasks, or of mixtures within the mixture; what is left out has rate 0."
    )


class DataConfig(Section):
    """The mixture, how it is phrased, and where its tokens are stored."""

    mixture: str | tuple[str, ...] | dict[str, float] = fixed(
        "starter",
        "A mixture's or task's name, a list of names, or names with rates; NAME@few+hidden: a variant.",
    )
    modules: tuple[str, ...] = fixed((), "Python files or packages that register more tasks.")
    sources: dict[str, str] = fixed({}, "Local file or folder to read instead of a task's own source, by task name.")
    hold_out: tuple[str, ...] = fixed((), "Clusters no task of which may be trained on; they are evaluated as unseen.")
    hold_out_kin: bool = fixed(True, "Leave kin of held-out clusters out of training too (paraphrase with nli).")
    template_mode: TemplateMode = fixed(
        "instruction", "instruction: a template; name: data-set name and input; none: the input alone."
    )
    options: Literal["shown", "hidden"] = fixed("shown", "Whether answer options are listed in the prompt.")
    option_style: OptionStyle = fixed(
        "dash", "How options that are shown are marked; varied: each example in one of the ways."
    )
    shots: Literal["few", "fit"] | Annotated[int, Field(ge=0)] = fixed(
        0, "Training examples before each question; few: 1, 2, 3, 5 or 10 by key; fit: as many as fit, up to 16."
    )
    shot_tokens: int = fixed(1920, "Most tokens of a prompt with examples in it; the row, where that is less.", ge=1)
    renderings: Literal["all"] | Annotated[int, Field(ge=1)] = fixed(
        1, "How many different renderings of each example are stored; all: one in every template."
    )
    render_seed: int = fixed(0, "Seed of template choice and option order.", ge=0)
    form: Literal["auto", "chat", "text"] = fixed(
        "auto", "chat: the tokenizer's chat template; text: prompt and target; auto: chat where there is a template."
    )
    too_long: Literal["drop", "cut_input"] = fixed(
        "drop", "An example longer than the row: drop (counted), or cut the end of its input (text form only)."
    )
    max_examples: int | None = fixed(
        None, "Most training examples of a task; none: the task's or mixture's own cap, else 30,000.", ge=1
    )
    validation_examples: int = fixed(200, "Most evaluation examples of a task.", ge=1)
    validation_share: float = fixed(
        0.02,
        "Share of the records held back where a source has no validation split; 0: such tasks have none.",
        ge=0,
        lt=1,
    )
    languages: tuple[str, ...] = fixed((), "Languages of OpenAssistant's messages to keep, such as en; empty: all.")
    train_on_inputs: bool = fixed(False, "Decoder only: all tokens of an example carry loss, not only its answers.")
    mixing: MixingConfig = MixingConfig()
    stages: tuple[Stage, ...] = fixed((), "Rates that change over the steps; empty: the mixture's own throughout.")
    store: str | None = free(None, "Folder (or gs:// address) of the token store; none: store/ in the run folder.")
    cache_dir: str | None = free(None, "Local folder for a copied gs:// store; none: the user's cache folder.")
    remote_timeout_s: float = free(120.0, "Seconds without progress after which a gs:// store is given up.", gt=0)
    prepare_processes: int | None = free(
        None,
        "Processes that build the store; none: on the command line one a core, up to 8, where there is much to do.",
        ge=1,
    )
    workers: int = free(2, "Threads that read and assemble batches ahead of the step.", ge=0)


class BatchConfig(Section):
    """Shape of a batch; all sizes are for all hosts together."""

    rows: int = fixed(8, "Packed rows of one optimizer step.", ge=1)
    length: int = fixed(512, "Tokens of a decoder-only row.", ge=8)
    input_length: int = fixed(512, "Input tokens of an encoder-decoder row.", ge=8)
    target_length: int = fixed(128, "Target tokens of an encoder-decoder row.", ge=8)
    accumulation: int = fixed(1, "Micro-batches one step is split into; divides `rows`.", ge=1)
    window_batches: int = fixed(64, "Least number of batches planned and packed together.", ge=1)

    @model_validator(mode="after")
    def _divides(self) -> BatchConfig:
        if self.rows % self.accumulation:
            raise ValueError(f"'rows' ({self.rows}) must be a multiple of 'accumulation' ({self.accumulation})")
        return self


class OptimizerConfig(Section):
    """The update rule."""

    name: Literal["adamw", "adafactor"] = fixed("adamw", "adamw or adafactor (per layer on stacked weights).")
    learning_rate: float = fixed(2e-4, "Peak learning rate.", gt=0)
    b1: float = fixed(0.9, "AdamW: decay of the first moment.", ge=0, lt=1)
    b2: float = fixed(0.999, "AdamW: decay of the second moment.", ge=0, lt=1)
    eps: float = fixed(1e-8, "AdamW: added to the root of the second moment.", gt=0)
    weight_decay: float = fixed(0.0, "Decoupled weight decay rate, on matrices only.", ge=0)
    decay_rate: float = fixed(0.8, "Adafactor: exponent of the second-moment decay.", gt=0, le=1)
    multiply_by_parameter_scale: bool = fixed(True, "Adafactor: scale the update by the parameter's RMS.")
    clip_norm: float | None = fixed(1.0, "Largest global gradient norm; none: no clipping.", gt=0)


class ScheduleConfig(Section):
    """The learning rate over the steps."""

    kind: Literal["constant", "linear", "cosine"] = fixed("cosine", "Shape after the warm-up.")
    warmup_steps: int = fixed(0, "Steps from 0 to the peak.", ge=0)
    final_ratio: float = fixed(0.0, "Last learning rate over the peak (linear, cosine).", ge=0, le=1)


class TrainConfig(Section):
    """How long to train."""

    steps: int = fixed(1000, "Optimizer steps.", ge=1)


class MeshConfig(Section):
    """Devices along each axis."""

    data: int = free(-1, "Batch copies; -1: all devices that the other axes leave.", ge=-1)
    fsdp: int = free(1, "Shards of weights and batch.", ge=1)
    tensor: int = free(1, "Shards of heads, MLP and vocabulary.", ge=1)


class CheckpointConfig(Section):
    """When state is saved and what is kept."""

    every_steps: int = free(500, "Steps between checkpoints; one is always saved at the end.", ge=1)
    keep: int = free(2, "Newest checkpoints that are kept.", ge=1)
    best_metric: str | None = free(None, "Metric whose best checkpoint is kept too, e.g. seen/mean; higher is better.")


class EvaluationConfig(Section):
    """What is measured, and when."""

    every_steps: int | None = free(
        None, "Steps between evaluations in the loop; none: no evaluation in the loop.", ge=1
    )
    examples: int = free(100, "Most examples of a task.", ge=1)
    subsets: str | None = free(
        None, "subsets.json of `flan-jax contamination`: `evaluate` then scores clean and dirty examples apart too."
    )
    tasks: tuple[str, ...] | None = free(None, "Tasks to evaluate; none: the mixture's, and the held-out clusters'.")
    rows: int = free(8, "Rows of an evaluation batch, all hosts together.", ge=1)
    max_tokens: int = free(16, "Tokens of a generated answer.", ge=1)
    max_reasoning_tokens: int = free(48, "Tokens of a generated answer with a chain of thought.", ge=1)
    patience: int | None = free(
        None, "Evaluations without a better `checkpoint.best_metric` before stopping early.", ge=1
    )


class ContaminationConfig(Section):
    """What counts as leaked from training into evaluation, and as a duplicate within training."""

    most_words: int = free(13, "Longest n-gram that is compared, in words.", ge=1)
    least_words: int = free(8, "Shortest n-gram that is compared; shorter questions are compared whole.", ge=1)
    percentile: float = free(5.0, "n is this percentile of a task's question lengths, within those two.", ge=0, le=100)
    overlap: float = free(
        0.0, "Least share of an example's n-grams seen in training that makes it dirty; 0: one is enough.", ge=0, le=1
    )
    similarity: float = free(0.8, "Estimated Jaccard similarity from which questions are near duplicates.", gt=0, lt=1)
    permutations: int = free(128, "MinHash permutations; the estimate deviates by at most 0.5 / √permutations.", ge=16)
    shingle_words: int = free(5, "Words of a shingle, of which near duplicates share most.", ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> ContaminationConfig:
        if self.least_words > self.most_words:
            raise ValueError(f"'least_words' ({self.least_words}) must not exceed 'most_words' ({self.most_words})")
        return self


class GenerationConfig(Section):
    """How text is sampled."""

    max_tokens: int = free(128, "Most new tokens.", ge=1)
    temperature: float = free(0.0, "0: greedy; else the logits are divided by it.", ge=0)
    top_k: int = free(0, "Sample from the k likeliest tokens; 0: no limit.", ge=0)
    top_p: float = free(1.0, "Sample from the likeliest tokens of this total probability.", gt=0, le=1)
    seed: int = free(0, "Seed of sampling.", ge=0)


class LoggingConfig(Section):
    """What is written about the run."""

    every_steps: int = free(10, "Steps between logged metrics.", ge=1)
    tensorboard: bool = free(True, "Write TensorBoard event files.")
    compilation_cache: str | None = free(None, "Folder of JAX's compilation cache; none: the user's cache; '': off.")


class Config(Section):
    """One run, whole."""

    run: RunConfig = RunConfig()
    model: ModelConfig = ModelConfig()
    tuning: TuningConfig = TuningConfig()
    data: DataConfig = DataConfig()
    chat: ChatConfig = ChatConfig()
    batch: BatchConfig = BatchConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    train: TrainConfig = TrainConfig()
    mesh: MeshConfig = MeshConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    contamination: ContaminationConfig = ContaminationConfig()
    generation: GenerationConfig = GenerationConfig()
    logging: LoggingConfig = LoggingConfig()

    @property
    def store_dir(self) -> str:
        """Folder or address of the token store."""
        return self.data.store or str(Path(self.run.dir) / "store")

    def to_yaml(self) -> str:
        """The resolved config, every field of it, as YAML text."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def fields(section: type[Section] = Config, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every setting as (dotted key, 'fixed' or 'free')."""
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from fields(inner, f"{prefix}{name}.")
        else:
            extra = field.json_schema_extra
            assert isinstance(extra, dict), f"config field {prefix}{name} has no resume mark"
            yield f"{prefix}{name}", str(extra["resume"])


def value_at(config: Config, key: str) -> Any:
    """The value of a dotted key."""
    node: Any = config
    for part in key.split("."):
        node = getattr(node, part)
    return node


def differences(old: Config, new: Config, mark: Literal["fixed", "free"]) -> dict[str, tuple[Any, Any]]:
    """The settings with this resume mark whose values differ, as key: (old, new)."""
    pairs = {key: (value_at(old, key), value_at(new, key)) for key, resume in fields() if resume == mark}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
