"""Command lines to settings: text as it is written, all else as YAML."""

import pytest
from hyperpyyaml import resolve_references

from local.command_line import load_hparams
from local.errors import InputError

TEXTS = [
    "2024-05-01", "007", "1e3", "null", "true", "~", "run #3", "exp: a", "a=b", "a==b=", "=a",
    "[a]", "{a: 1}", "(a, b)", "'a'", '"', "\\n", "\\", "*a", "&a b", "!new:os.system", "%TAG",
    "- a", "-", "-1", "a\nb", " a ", "a  b", "ä\u0308\u2028\u00a0", "@a", "`", "1:30", ">", "|",
    "<", "#", "...", "---", "--seed", "a,b", "?", "$HOME", "x" * 300, "\N{GRINNING FACE}",
]  # fmt: skip


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text(
        "out_dir: results/x  # text\n"
        "calibration: null  # a file\n"
        "scores: null  # files\n"
        "seed: 1  # a number\n"
        "cohort: !ref <out_dir>/manifests/train.csv\n"
        "again: !ref <out_dir>\n"
        "counts: !new:collections.Counter\n  a: 1\n  b: 2\n",
        encoding="utf-8",
    )
    return path


def load(path, *arguments, **options):
    return load_hparams([str(path), *arguments], **options)[1]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_taken_as_it_is(path, text, tmp_path):
    hparams = load(path, f"--out_dir={text}")
    assert hparams["out_dir"] == hparams["again"] == text
    assert hparams["cohort"] == f"{text}/manifests/train.csv"
    if not text.startswith("--"):
        assert load(path, "--out_dir", text, "--seed", "2")["out_dir"] == text
    hparams = load(path, f"--calibration={text}", f"--cohort={text}")
    assert hparams["calibration"] == (None if text == "null" else text)
    assert hparams["cohort"] == text


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_comes_back_from_the_files_of_a_run(path, text, tmp_path):
    _, hparams, _, overrides = load_hparams([str(path), f"--out_dir={text}", "--seed=3"])
    # As speechbrain.create_experiment_directory writes them.
    resolved = resolve_references(path.read_text(encoding="utf-8"), overrides).read()
    (tmp_path / "hyperparams.yaml").write_text(resolved, encoding="utf-8")
    assert load(tmp_path / "hyperparams.yaml") == hparams


def test_several_files(path):
    assert load(path, "--scores", "1", "null", repeatable=["scores"])["scores"] == ["1", "null"]
    several = ["--scores", "a=1", "--seed", "2", "--scores=b #2"]
    assert load(path, *several, repeatable=["scores"])["scores"] == ["a=1", "b #2"]
    assert load(path, "--scores", "007", repeatable=["scores"])["scores"] == "007"


def test_references_and_objects_are_yaml(path):
    assert load(path, "--calibration", "!ref <out_dir>/c")["calibration"] == "results/x/c"
    hparams = load(path, "--counts", "{a: 5}", "--counts={b: 7}")
    assert hparams["counts"] == {"a": 5, "b": 7}
    assert load(path, "--seed", "0x10")["seed"] == 16


def test_of_several_values_the_last_counts(path):
    hparams = load(path, "--seed", "2", "--out_dir=a", "--seed=3", "--out_dir", "b", "--seed", "4")
    assert (hparams["seed"], hparams["out_dir"]) == (4, "b")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--out_dir"], "--out_dir: has no value"),
        (["--out_dir", "--seed", "1"], "--out_dir: has no value"),
        (["--out_dir="], "--out_dir has an empty value"),
        (["--out_dir", "a", "b"], "--out_dir a b: put a value with blanks in quotes"),
        (["--out_dir=a<seed>"], "can't have < and >, which name other settings"),
        (["--out_dir=\udcff"], r"--out_dir '\\udcff': is not UTF-8 text"),
        (["--seed=[1"], r"--seed '\[1': is not valid YAML: "),
        (["--seed=" + "9" * 5000], "--seed"),
        (["b"], "b: .* has no such setting"),
        (["--noprogressbar", "b"], "b: .* has no such setting"),
        (["--outdir=a"], r"outdir: .* has no such setting \(do you mean out_dir\?\)"),
        (["--preset"], "argument --preset: expected 1 argument"),
        (["--ckpt_interval_minutes=x"], "argument --ckpt_interval_minutes: invalid int value: 'x'"),
        (["--device=gpu"], "--device gpu: there is no such device here"),
        (["--device=cuda:99"], "--device cuda:99: there is no such device here"),
        (["--device=meta"], "--device meta: there is no such device here"),
    ],
)
def test_one_line_for_what_cannot_be_understood(path, arguments, message):
    with pytest.raises(InputError, match=message) as error:
        load(path, *arguments)
    assert len(str(error.value).splitlines()) == 1 and len(str(error.value)) < 400
