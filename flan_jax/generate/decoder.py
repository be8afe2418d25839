"""Generation: prompts in batches of fixed shape, the whole loop one compiled program, or in small steps for a reader.

    prompts ─ sorted by length ─ batches of `rows`, padded to a power of two ─► begin ─► extend until all have stopped

    begin:  start_decode on the prompts, choose the first token
    extend: decode_step on the chosen tokens, choose the next; in a loop, on the devices

The host hears of a batch only when all of it is done. Rows are spread over data × fsdp. A prompt's answer does not
depend on the prompts beside it, in sampling neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Float, Int

from flan_jax.errors import InputError
from flan_jax.generate.sampling import Sampling, choose_tokens
from flan_jax.generate.shapes import power_of_two
from flan_jax.model.nn.array_tree import array_tree
from flan_jax.parallel.mesh import host_rows, place_batch

SHORTEST = 32  # tokens of the smallest prompt shape
NOTHING = -1  # in the output: the row has stopped
# Tokens between two looks of a reader: each call of a program copies the layer stack once on a CPU, a token's worth.
STREAMED = 4


@array_tree
@dataclass(frozen=True)
class Progress:
    """How far a batch is.

    Attributes:
        step: tokens chosen so far.
        tokens: [B], the last ones; not yet read by the model.
        done: [B], whether a row has stopped.
        written: [B, most new tokens]; `NOTHING` from a row's stop token on.
        state: the model's decoding state.
    """

    step: Int[Array, ""]
    tokens: Int[Array, "B"]
    done: Bool[Array, "B"]
    written: Int[Array, "B T"]
    state: Any


class Decoder:
    """Generates with one model structure; weights are given with each call."""

    def __init__(
        self,
        graphdef: nnx.GraphDef,
        mesh: Mesh,
        *,
        kind: Literal["decoder", "encoder_decoder"],
        rows: int,
        stop_ids: Sequence[int],
        longest: int | None,
    ) -> None:
        """Prepares the programs; each compiles at its first use.

        Args:
            graphdef: structure of the model.
            mesh: devices the weights lie on.
            kind: whether prompts are read by a decoder or by an encoder.
            rows: rows of a batch, over all hosts.
            stop_ids: tokens that end an answer; they are no part of it.
            longest: most tokens of a prompt with its answer that the model was made for; none: no limit.

        Raises:
            InputError: `rows` does not divide over the mesh.
        """
        self._graphdef, self._mesh, self._kind, self._rows = graphdef, mesh, kind, rows
        self._local = host_rows(mesh, rows)
        self._stop_ids, self._longest = tuple(stop_ids), longest
        self.programs = 0  # whole-loop programs compiled so far
        # tokens are replicated, so that every host reads them; the rest stays where it was made
        whole = NamedSharding(mesh, PartitionSpec())
        statics = ("max_new_tokens", "sampling")
        self._generate = jax.jit(self._generate_batch, static_argnames=statics, out_shardings=whole)
        self._start = jax.jit(self._start_batch, static_argnames=statics, out_shardings=(whole, None))
        self._continue = jax.jit(
            self._continue_batch, static_argnames="sampling", out_shardings=(whole, None), donate_argnums=2
        )

    def check(self, prompts: Sequence[Sequence[int]], max_new_tokens: int, names: Sequence[str] | None = None) -> None:
        """Refuses prompts that the model cannot answer.

        Args:
            prompts: token ids.
            max_new_tokens: most tokens of an answer.
            names: what to call each prompt in an error sentence; none: by its number.

        Raises:
            InputError: a prompt is empty, or leaves no room for the answer.
        """
        for index, prompt in enumerate(prompts):
            name = f"prompt {index + 1}" if names is None else names[index]
            if not prompt:
                raise InputError(f"{name}: has no tokens; give at least one word")
            if self._longest is not None and len(prompt) + max_new_tokens > self._longest:
                raise InputError(
                    f"{name}: takes {len(prompt)} tokens, with {max_new_tokens} for the answer; the model reads at "
                    f"most {self._longest} together; shorten the prompt, or ask for fewer tokens"
                )

    def __call__(
        self,
        tuned: nnx.State,
        frozen: nnx.State,
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        sampling: Sampling,
        on_progress: Callable[[int], None] | None = None,
    ) -> list[list[int]]:
        """The answer to each prompt, in order, without its stop token.

        Args:
            tuned: tuned weights, on the mesh.
            frozen: frozen weights, on the mesh.
            prompts: token ids.
            max_new_tokens: most tokens of an answer.
            sampling: how tokens are chosen.
            on_progress: told how many prompts a finished batch held.

        Raises:
            InputError: a prompt is empty, or leaves no room for the answer.
        """
        self.check(prompts, max_new_tokens)
        answers: list[list[int]] = [[] for _ in prompts]
        by_length = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        waiting: tuple[list[int], Array] | None = None

        def collect(members: list[int], tokens: Array) -> None:
            for index, row in zip(members, np.asarray(tokens), strict=False):  # padding rows come last
                answers[index] = [int(token) for token in row if token != NOTHING]
            if on_progress is not None:
                on_progress(len(members))

        for start in range(0, len(prompts), self._rows):
            members = by_length[start : start + self._rows]
            batch = self._batch([prompts[index] for index in members], members)
            with jax.set_mesh(self._mesh):
                tokens = self._generate(tuned, frozen, batch, max_new_tokens=max_new_tokens, sampling=sampling)
            # the batch before is read while this one computes
            if waiting is not None:
                collect(*waiting)
            waiting = members, tokens
        if waiting is not None:
            collect(*waiting)
        return answers

    def stream(
        self,
        tuned: nnx.State,
        frozen: nnx.State,
        prompt: Sequence[int],
        *,
        max_new_tokens: int,
        sampling: Sampling,
    ) -> Iterator[int]:
        """The tokens of one answer, a few at a time while it grows; the same as a call with this prompt alone gives.

        Raises:
            InputError: the prompt is empty, or leaves no room for the answer.
        """
        self.check([prompt], max_new_tokens)
        batch = self._batch([prompt], [0])
        with jax.set_mesh(self._mesh):
            written, progress = self._start(tuned, frozen, batch, max_new_tokens=max_new_tokens, sampling=sampling)
        first, limit = 0, 1
        while True:
            row = np.asarray(written)[0]
            for token in row[first : min(limit, max_new_tokens)].tolist():
                if token == NOTHING:
                    return
                yield token
            if limit >= max_new_tokens:
                return
            first, limit = limit, limit + STREAMED
            with jax.set_mesh(self._mesh):
                written, progress = self._continue(
                    tuned, frozen, progress, batch["numbers"], np.int32(limit), sampling=sampling
                )

    def _batch(self, prompts: Sequence[Sequence[int]], numbers: Sequence[int]) -> dict[str, Array]:
        """Prompts as rows on the mesh, rows that are missing filled with a one-token prompt that is done already."""
        length = power_of_two(max(map(len, prompts)), least=SHORTEST)
        inputs, segments = np.zeros((2, self._rows, length), np.int32)
        for row in range(self._rows):
            prompt = prompts[row] if row < len(prompts) else [0]
            # a decoder goes on at the right end; an encoder is read whole
            at = slice(length - len(prompt), length) if self._kind == "decoder" else slice(0, len(prompt))
            inputs[row, at], segments[row, at] = prompt, 1
        names = ("inputs", "segments") if self._kind == "decoder" else ("encoder_inputs", "encoder_segments")
        padding = [0] * (self._rows - len(prompts))
        batch = {
            **dict(zip(names, (inputs, segments), strict=True)),
            "numbers": np.array([*numbers, *padding], np.int32),
            "done": np.arange(self._rows) >= len(prompts),
        }
        return place_batch({name: array[self._local] for name, array in batch.items()}, self._mesh, self._rows)

    def _begin(self, model: Any, batch: Mapping[str, Array], max_new_tokens: int, sampling: Sampling) -> Progress:
        """The prompts read, the first token of each row chosen."""
        hidden, state = model.start_decode(batch, max_new_tokens=max_new_tokens)
        written = jnp.full((self._rows, max_new_tokens), NOTHING, jnp.int32)
        no_tokens = jnp.zeros((self._rows,), jnp.int32)
        empty = Progress(jnp.zeros((), jnp.int32), no_tokens, batch["done"], written, state)
        return self._write(empty, self._choose(model.logits(hidden), batch["numbers"], empty.step, sampling), state)

    def _extend(
        self, model: Any, progress: Progress, numbers: Int[Array, "B"], limit: Int[Array, ""] | int, sampling: Sampling
    ) -> Progress:
        """Token after token until there are `limit`, or all rows have stopped."""
        head = model.head().astype(model.settings.compute_dtype)  # cast once, outside the loop
        last = jnp.minimum(limit, progress.written.shape[1])

        def advance(progress: Progress) -> Progress:
            hidden, state = model.decode_step(progress.state, progress.tokens)
            tokens = self._choose(model.logits(hidden, head), numbers, progress.step, sampling)
            return self._write(progress, tokens, state)

        return jax.lax.while_loop(lambda now: (now.step < last) & ~jnp.all(now.done), advance, progress)

    def _choose(
        self, logits: Float[Array, "B V"], numbers: Int[Array, "B"], step: Int[Array, ""], sampling: Sampling
    ) -> Int[Array, "B"]:
        """The next token of each row; the key is of (seed, prompt, step), whatever batch the prompt is in."""
        seed = jax.random.key(sampling.seed)
        keys = jax.vmap(lambda number: jax.random.fold_in(jax.random.fold_in(seed, number), step))(numbers)
        return choose_tokens(logits, keys, sampling)

    def _write(self, progress: Progress, tokens: Int[Array, "B"], state: Any) -> Progress:
        """One more token a row, or `NOTHING` where the row has stopped."""
        done = progress.done | jnp.isin(tokens, jnp.array(self._stop_ids, jnp.int32))
        column = jnp.where(done, NOTHING, tokens)[:, None]
        written = jax.lax.dynamic_update_slice_in_dim(progress.written, column, progress.step, axis=1)
        return Progress(progress.step + 1, tokens, done, written, state)

    def _generate_batch(
        self,
        tuned: nnx.State,
        frozen: nnx.State,
        batch: Mapping[str, Array],
        *,
        max_new_tokens: int,
        sampling: Sampling,
    ) -> Int[Array, "B T"]:
        self.programs += 1  # runs only while tracing
        model = nnx.merge(self._graphdef, tuned, frozen)
        progress = self._begin(model, batch, max_new_tokens, sampling)
        return self._extend(model, progress, batch["numbers"], max_new_tokens, sampling).written

    def _start_batch(
        self,
        tuned: nnx.State,
        frozen: nnx.State,
        batch: Mapping[str, Array],
        *,
        max_new_tokens: int,
        sampling: Sampling,
    ) -> tuple[Int[Array, "B T"], Progress]:
        model = nnx.merge(self._graphdef, tuned, frozen)
        progress = self._begin(model, batch, max_new_tokens, sampling)
        return progress.written, progress

    def _continue_batch(
        self,
        tuned: nnx.State,
        frozen: nnx.State,
        progress: Progress,
        numbers: Int[Array, "B"],
        limit: Int[Array, ""],
        *,
        sampling: Sampling,
    ) -> tuple[Int[Array, "B T"], Progress]:
        model = nnx.merge(self._graphdef, tuned, frozen)
        progress = self._extend(model, progress, numbers, limit, sampling)
        return progress.written, progress
