"""Plan and loader: every example where it belongs, the same batches on any hosts and after any restart."""

import dataclasses
import json
import threading
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flan_jax.data.plan.loader import Loader, fill_batch
from flan_jax.data.plan.plan import Plan
from flan_jax.data.plan.position import Position
from flan_jax.data.plan.shares import mixture_report
from flan_jax.data.store.record import PairRecord, Record, TokenRecord
from flan_jax.errors import InputError


@dataclasses.dataclass
class MemoryStore:
    """Records in memory with the interface of `Store`."""

    records: list[Record]
    starts: np.ndarray
    content: str = "content"

    @property
    def lengths(self) -> np.ndarray:
        return np.array([record.packed_lengths for record in self.records], np.int32)

    @property
    def loss_tokens(self) -> np.ndarray:
        return np.array([record.loss_tokens for record in self.records], np.int32)

    def read(self, indices):
        return [self.records[index] for index in indices]


def token_store(task: int, count: int, *, renderings: int = 1, longest: int = 20) -> MemoryStore:
    """Token values tell where they come from: 10000·task + 100·record + place."""
    random = np.random.default_rng(task)
    records: list[Record] = []
    for number in range(count * renderings):
        length = int(random.integers(3, longest))
        weights = (np.arange(length) >= length - 2).astype(np.float32)
        ids = (10_000 * task + 100 * number + np.arange(length)).astype(np.int32)
        records.append(TokenRecord(number // renderings, number % renderings, ids, weights))
    return MemoryStore(records, np.arange(0, count * renderings + 1, renderings))


def pair_store(task: int, count: int) -> MemoryStore:
    random = np.random.default_rng(task)
    records: list[Record] = []
    for number in range(count):
        inputs = 10_000 * task + 100 * number + np.arange(random.integers(1, 20))
        targets = 10_000 * task + 100 * number + 50 + np.arange(random.integers(1, 8))
        records.append(PairRecord(number, 0, inputs.astype(np.int32), targets.astype(np.int32)))
    return MemoryStore(records, np.arange(count + 1))


STORES = {"a": token_store(0, 40), "b": token_store(1, 7), "c": token_store(2, 90, renderings=3)}
PAIRS = {"a": pair_store(0, 40), "b": pair_store(1, 7)}
STAGES = [(7, {"a": 0.0, "b": 0.2, "c": 0.8}), (20, {"a": 1.0, "b": 0.0, "c": 0.0})]


def token_plan(**changes) -> Plan:
    settings = {"rows": 4, "capacities": (24,), "window_batches": 5, "seed": 3, "stages": STAGES, **changes}
    return Plan(STORES, {"a": 0.5, "b": 0.2, "c": 0.3}, **settings)


def pair_plan(**changes) -> Plan:
    settings = {"rows": 4, "capacities": (24, 10), "window_batches": 5, "seed": 3, **changes}
    return Plan(PAIRS, {"a": 0.5, "b": 0.5}, **settings)


def take(plan, stores, count, *, rows=slice(0, 4), position=None, workers=0):
    with Loader(plan, stores, rows=rows, position=position or plan.start(), workers=workers) as loader:
        return [next(loader) for _ in range(count)]


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert first[name].dtype == second[name].dtype
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


TOKENS = take(token_plan(), STORES, 40)
PAIR_BATCHES = take(pair_plan(), PAIRS, 40)


def test_every_example_of_a_window_stands_in_its_batches_once():
    plan = token_plan()
    window = plan.window(0, ())
    expected = Counter(zip(window.content.tasks.tolist(), window.content.records.tolist(), strict=True))
    found: Counter = Counter()
    for number, (batch, _) in enumerate(TOKENS[: -(-window.num_rows // 4)]):
        for row in range(min(4, window.num_rows - 4 * number)):
            assert batch["segments"][row].max() > 0  # no row is empty
            for segment in range(1, batch["segments"][row].max() + 1):
                place = np.flatnonzero(batch["segments"][row] == segment)
                task = int(batch["tasks"][row, place[0]])
                number = (int(batch["inputs"][row, place[0]]) - 10_000 * task) // 100
                record = STORES["abc"[task]].records[number]
                assert isinstance(record, TokenRecord)
                assert np.all(np.diff(place) == 1)
                np.testing.assert_array_equal(batch["inputs"][row, place], record.tokens[:-1])
                np.testing.assert_array_equal(batch["targets"][row, place], record.tokens[1:])
                np.testing.assert_array_equal(batch["weights"][row, place], record.weights[1:])
                np.testing.assert_array_equal(batch["positions"][row, place], np.arange(len(place)))
                assert np.all(batch["tasks"][row, place] == task)
                found[task, number] += 1
        padding = batch["segments"] == 0
        assert np.all(batch["tasks"][padding] == -1)
        for name in ("inputs", "targets", "weights", "positions"):
            assert np.all(batch[name][padding] == 0)
    assert found == expected


def test_pairs_share_their_segment_and_targets_are_shifted_within_it():
    num_examples = 0
    for batch, _ in PAIR_BATCHES[:10]:
        assert batch["encoder_inputs"].shape == (4, 24)
        assert batch["targets"].shape == (4, 10)
        for row in range(4):
            assert batch["encoder_segments"][row].max() == batch["decoder_segments"][row].max()
            for segment in range(1, batch["decoder_segments"][row].max() + 1):
                inputs = batch["encoder_inputs"][row][batch["encoder_segments"][row] == segment]
                place = batch["decoder_segments"][row] == segment
                task = int(batch["tasks"][row][place][0])
                record = PAIRS["ab"[task]].records[int(inputs[0]) % 10_000 // 100]
                assert isinstance(record, PairRecord)
                np.testing.assert_array_equal(inputs, record.inputs)
                np.testing.assert_array_equal(batch["targets"][row][place], record.targets)
                np.testing.assert_array_equal(batch["decoder_inputs"][row][place], [0, *record.targets[:-1]])
                assert np.all(batch["weights"][row][place] == 1)
                num_examples += 1
        assert np.all(batch["weights"][batch["decoder_segments"] == 0] == 0)
    assert num_examples > 40


@pytest.mark.parametrize(
    ("plan", "stores", "whole"), [(token_plan(), STORES, TOKENS), (pair_plan(), PAIRS, PAIR_BATCHES)]
)
@pytest.mark.parametrize("hosts", [2, 4])
def test_rows_of_all_hosts_make_the_same_batch(plan, stores, whole, hosts):
    share = 4 // hosts
    parts = [take(plan, stores, 25, rows=slice(host * share, (host + 1) * share)) for host in range(hosts)]
    for number in range(25):
        united = {name: np.concatenate([part[number][0][name] for part in parts]) for name in whole[number][0]}
        assert_same(united, whole[number][0])
        assert {part[number][1] for part in parts} == {whole[number][1]}


@given(restart=st.integers(1, 30), workers=st.integers(0, 3), is_pairs=st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_restart_goes_on_with_the_same_batches(restart, workers, is_pairs):
    plan, stores, whole = (pair_plan(), PAIRS, PAIR_BATCHES) if is_pairs else (token_plan(), STORES, TOKENS)
    saved = json.dumps(whole[restart - 1][1].to_dict())
    assert len(saved) < 300
    position = Position.from_dict(json.loads(saved))
    assert position.step == restart
    for (batch, after), (expected, expected_after) in zip(
        take(plan, stores, 9, position=position, workers=workers), whole[restart : restart + 9], strict=True
    ):
        assert_same(batch, expected)
        assert after == expected_after


def test_stages_begin_at_the_first_window_at_or_after_their_step():
    starts = {}
    for _, position in TOKENS:
        for stage, window in enumerate(position.stage_starts):
            starts.setdefault(stage, (window, position))
    assert list(starts) == [0, 1]
    for stage, (window, position) in starts.items():
        assert position.window == window
        assert position.row <= 4  # the batch that reaches the window is the first to know of the stage
        assert position.step - 1 >= STAGES[stage][0]
    first, second = starts[0][1].step, starts[1][1].step
    assert all(0 in batch["tasks"] for batch, _ in TOKENS[: first - 1])
    assert all(0 not in batch["tasks"] for batch, _ in TOKENS[first : second - 1])
    assert all(set(np.unique(batch["tasks"])) <= {-1, 0} for batch, _ in TOKENS[second:])


def test_small_data_sets_wrap_and_every_epoch_holds_every_example():
    plan = Plan({"b": STORES["b"]}, {"b": 1.0}, rows=4, capacities=(24,), window_batches=5, seed=0)
    drawn = np.concatenate([plan.window(number, ()).content.records for number in range(6)])
    counts = np.bincount(drawn, minlength=7)
    assert counts.max() - counts.min() <= 1


def test_renderings_take_turns_over_the_epochs():
    stores = {"c": token_store(2, 30, renderings=3)}
    plan = Plan(stores, {"c": 1.0}, rows=4, capacities=(24,), window_batches=5, seed=0)
    counts = np.bincount(
        np.concatenate([plan.window(number, ()).content.records for number in range(40)]), minlength=90
    )
    assert counts.min() > 0
    epochs = counts.sum() / 30
    assert abs(counts.reshape(30, 3) - epochs / 3).max() <= 1.4


def test_a_window_smaller_than_a_batch_is_joined_with_the_next():
    plan = Plan({"b": STORES["b"]}, {"b": 1.0}, rows=40, capacities=(24,), window_batches=1, seed=0)
    assert plan.window(0, ()).num_rows < 80
    whole = take(plan, STORES, 6, rows=slice(0, 40))
    assert max(position.window for _, position in whole) >= 4
    again = take(plan, STORES, 3, rows=slice(0, 40), position=whole[2][1], workers=2)
    for (batch, _), (expected, _) in zip(again, whole[3:], strict=True):
        assert_same(batch, expected)


def test_a_window_has_the_rows_it_is_asked_for():
    plan = token_plan(stages=[], window_batches=40)
    for number in range(5):
        window = plan.window(number, ())
        assert window.num_rows >= 0.97 * 160
        assert np.array_equal(np.unique(window.content.rows), np.arange(window.num_rows))


def test_an_example_without_a_token_to_train_on_is_refused():
    store = token_store(0, 10)
    records = list(store.records)
    assert isinstance(records[4], TokenRecord)
    records[4] = dataclasses.replace(records[4], weights=np.zeros_like(records[4].weights))
    stores = {"quiet": MemoryStore(records, store.starts)}
    with pytest.raises(InputError, match=r"task 'quiet': record 4 has no token that carries loss"):
        Plan(stores, {"quiet": 1.0}, rows=2, capacities=(24,), window_batches=2, seed=0)


def test_a_position_of_another_plan_is_refused_with_what_differs():
    saved = token_plan().start()
    with pytest.raises(InputError, match=r"run.seed \(3 saved, 4 now\)"):
        Loader(token_plan(seed=4), STORES, rows=slice(0, 4), position=saved, workers=0)
    with pytest.raises(InputError, match=r"examples a window .*batch.rows \(4 saved, 8 now\)"):
        Loader(token_plan(rows=8), STORES, rows=slice(0, 4), position=saved, workers=0)
    with pytest.raises(InputError, match=r"mixture, rates or stages"):
        Loader(token_plan(stages=STAGES[:1]), STORES, rows=slice(0, 4), position=saved, workers=0)
    changed = {**STORES, "b": dataclasses.replace(STORES["b"], content="other")}
    plan = Plan(changed, token_plan().rates[0], stages=STAGES, rows=4, capacities=(24,), window_batches=5, seed=3)
    with pytest.raises(InputError, match="prepared records"):
        Loader(plan, changed, rows=slice(0, 4), position=saved, workers=0)
    with pytest.raises(InputError, match="fields do not match this version"):
        Position.from_dict({"step": 1})


class Failing(MemoryStore):
    """Fails from the third read on."""

    reads = 0

    def read(self, indices):
        self.reads += 1
        if self.reads > 2:
            raise InputError("token store 'x': shard is damaged")
        return super().read(indices)


def test_an_error_in_a_thread_comes_where_its_batch_would_have_come_and_threads_end():
    store = Failing(STORES["a"].records, STORES["a"].starts)
    plan = Plan({"a": store}, {"a": 1.0}, rows=4, capacities=(24,), window_batches=5, seed=0)
    before = threading.active_count()
    with Loader(plan, {"a": store}, rows=slice(0, 4), position=plan.start(), workers=1) as loader:
        next(loader), next(loader)
        with pytest.raises(InputError, match="shard is damaged"):
            next(loader)
    assert threading.active_count() == before


def test_a_record_of_another_length_than_planned_is_refused():
    plan = token_plan(stages=[])
    other = {**STORES, "a": token_store(5, 40)}
    rows = plan.window(0, ()).content.between(0, 4)
    with pytest.raises(InputError, match=r"task 'a': record \d+ has lengths"):
        fill_batch(plan, rows, other, num_rows=4, decoder_start_id=0)


def test_report_of_shares_and_fill():
    report = mixture_report(token_plan(stages=[]), windows=4)
    assert [task.name for task in report.tasks] == ["a", "b", "c"]
    for task in report.tasks:
        assert task.example_share == pytest.approx(task.requested_share, abs=0.01)
    assert sum(task.token_share for task in report.tasks) == pytest.approx(1)
    [side] = report.sides
    assert side.name == "tokens"
    assert 0.8 < side.fill <= 1
    assert report.lower_bound_rows <= report.num_rows


def test_report_on_pairs_suggests_the_length_of_the_side_that_does_not_bind():
    plan = pair_plan(capacities=(96, 10))
    inputs, targets = mixture_report(plan, windows=2).sides
    assert targets.fill > inputs.fill
    assert targets.suggested_length == 10
    assert 19 < inputs.suggested_length < 96
