"""The help answers at once, and knows the commands the README names; the map of the tree is true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
LIBRARIES = ("jax", "tensorflow", "transformers", "seqio", "huggingface_hub", "httpx2")
HEAVY = ("jax", "tensorflow", "transformers", "torch", "seqio", "orbax", "numpy", "huggingface_hub", "safetensors")


@pytest.mark.parametrize("words", [["--help"], ["tasks", "--help"], ["train", "--help"]])
def test_help_imports_nothing_heavy(words):
    script = (
        "import sys; from flan_jax.cli import main; sys.argv = ['flan-jax', *sys.argv[1:]]\n"
        "try: main()\n"
        f"finally: print('LOADED', [name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True)
    assert done.stdout.rstrip().endswith("LOADED []"), done.stdout + done.stderr
    assert "Usage: flan-jax" in done.stdout


def test_tasks_are_listed_without_tensorflow_or_jax():
    script = (
        "import sys; from flan_jax.cli import main; sys.argv = ['flan-jax', 'tasks', 'list']\n"
        "try: main()\n"
        f"finally: print('LOADED', [name for name in {LIBRARIES} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.rstrip().endswith("LOADED []"), done.stdout + done.stderr


def test_data_is_prepared_and_audited_without_jax(tmp_path):
    script = (
        "import sys; from flan_jax.cli import main\n"
        "for words in (['prepare'], ['store', 'verify'], ['contamination']):\n"
        "    sys.argv = ['flan-jax', *words, 'toy_llama']\n"
        "    try: main()\n"
        "    except SystemExit as e: assert not e.code, words\n"
        "print('LOADED', [n for n in ('jax', 'tensorflow', 'transformers', 'seqio') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.rstrip().endswith("LOADED []"), done.stdout + done.stderr


def test_every_command_of_the_readme_exists(command):
    named = set(re.findall(r"flan-jax ((?:[a-z]+)(?: (?:list|show|verify|schema))?)", README.read_text()))
    assert {"prepare", "inspect", "train", "evaluate", "generate", "export", "doctor", "tasks list"} <= named
    for words in sorted(named):
        assert command(*words.split(), "--help").code == 0, words


def test_files_of_the_map_exist():
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    map_text = contributing.partition("## Map of the tree")[2].partition("```\n")[2].partition("```")[0]
    names = [line.split()[0] for line in map_text.splitlines() if line]
    assert len(names) > 8
    for name in names:
        assert (ROOT / name).exists(), name


def test_the_schema_is_printed(command):
    outcome = command("config", "schema")
    assert '"LoraConfig"' in outcome.out
    assert "rank: 16" in command("config", "show", "toy_llama").out


def test_doctor_tells_versions_devices_and_what_is_missing(command):
    outcome = command("doctor")
    assert outcome.code == 0
    for word in ("jax", "orbax-checkpoint", "seqio", "cores", "native bfloat16"):
        assert word in outcome.out
