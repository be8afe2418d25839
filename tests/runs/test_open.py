"""A session opens its model once: what it is, how it reads, its weights."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flan_jax.config_file import parse_config
from flan_jax.model import files, load
from flan_jax.model.load import base_fingerprint, create
from flan_jax.model.save import export_huggingface
from flan_jax.parallel.mesh import make_mesh
from flan_jax.runs.model import check_model
from flan_jax.runs.open import open_text

LLAMA = {
    "model_type": "llama",
    "vocab_size": 300,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}


def test_the_architecture_and_the_weights_are_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = parse_config({"model": {"architecture": LLAMA}, "tuning": {"method": "full"}}, "test")
    mesh = make_mesh(drawn.mesh)
    parts = create(drawn, mesh)
    export_huggingface(parts, tmp_path / "model", config=drawn, mesh=mesh, prompts=[[1, 2]], dtype="float32")

    opened = []

    def counted(module, name: str) -> None:
        function = getattr(module, name)
        monkeypatch.setattr(module, name, lambda path: opened.append(name) or function(path))

    counted(files, "read_settings")
    counted(load, "open_weights")
    config = parse_config({"model": {"path": str(tmp_path / "model"), "tokenizer": "bytes"}}, "test")
    text = open_text(config)
    blueprint, mesh = check_model(config, text)
    parts = create(config, mesh, blueprint)
    assert len(base_fingerprint(config, parts.source)) == 64
    assert opened == ["read_settings", "open_weights"]
    assert parts.blueprint is blueprint
    assert np.isfinite(np.asarray(parts.frozen["embedding"]["table"][...], np.float32)).all()


@pytest.mark.parametrize(
    ("architecture", "is_pair"),
    [
        (LLAMA, False),
        (
            {
                "model_type": "t5",
                "vocab_size": 300,
                "d_model": 8,
                "d_kv": 4,
                "d_ff": 8,
                "num_layers": 1,
                "num_heads": 2,
            },
            True,
        ),
    ],
    ids=["llama", "t5"],
)
def test_how_a_model_reads_is_its_familys_and_needs_no_jax(architecture: dict, is_pair: bool) -> None:
    program = (
        "import sys; from flan_jax.config_file import parse_config; from flan_jax.runs.open import open_text\n"
        f"config = parse_config({{'model': {{'architecture': {architecture!r}, 'tokenizer': 'bytes'}}}}, 'test')\n"
        "text = open_text(config)\n"
        "print(type(text.encoder).__name__, [name for name in ('jax', 'flax') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=1) == ["PairEncoder" if is_pair else "TextEncoder", "[]\n"]
