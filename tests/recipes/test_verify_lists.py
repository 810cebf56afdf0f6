"""recipes/verify.py: several lists at once, and embeddings that are kept for the next run."""

import json
import os
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
from corpora import as_arguments, write_corpus, write_voice
from exports import make_model_dir, write_weights

from local.data.manifest_files import read_manifest
from local.embeddings import embed as embedding
from local.errors import InputError
from local.export.model_card import read_results
from local.report import outputs
from local.scoring.score_files import read_scores

ROOT = Path(__file__).resolve().parents[2]
LISTS = {
    "near": ["1 s0/u.0 s0/u.1", "0 s0/u.1 s1/u.0", "1 s1/u.0 s1/u.2", "0 s1/u.2 s2/u.0"],
    "far": ["1 s2/u.0 s2/u.3", "0 s0/u.1 s2/u.3", "1 s3/u.1 s3/u.2 ", "0 s3/u.1 s2/u.0"],
}
# How many utterances the lists have: near, far, and both together.
NUM_NEAR, NUM_FAR, NUM_ALL = 5, 5, 8


class Verification:
    """A corpus, a model and lists; counts what is embedded."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.embedded = folder, []
        write_corpus(folder)
        # With fewer mels, the scores of this cohort hardly differ: norms would divide by rounding.
        self.model_dir = make_model_dir(folder / "model", num_mels=80)
        manifests = self.model_dir / "manifests"
        manifests.mkdir()
        with open(manifests / "train.csv", "w") as file:
            file.write("ID,duration,wav,start,stop,spk_id\n")
            for name in ("s0/u.0", "s0/u.2", "s1/u.1", "s1/u.3"):
                stop = 16000 * (1 + int(name[-1]) / 8)
                path = folder / "audio" / f"{name}.wav"
                file.write(f"{name},{stop / 16000},{path},0,{stop:.0f},{name[1]}\n")
        for name, lines in LISTS.items():
            self.write_list(f"{name}.txt", lines)
        embed_batch = embedding.embed_batch

        def counted(features, extractor, batch, device):
            self.embedded += batch.indices
            return embed_batch(features, extractor, batch, device)

        monkeypatch.setattr(embedding, "embed_batch", counted)
        monkeypatch.setattr(outputs, "_pictures", lambda *_: [])

    def write_list(self, name, lines):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    def arguments(self, out, *lists, **settings):
        fixed = {"device": "cpu", "model_dir": self.model_dir, "bootstrap_draws": 0}
        fixed |= {"valid_data_dir": self.folder / "audio", "output_dir": self.folder / out}
        arguments = [str(ROOT / "hparams" / "verify.yaml"), "--noprogressbar"]
        arguments += as_arguments(fixed | settings)
        for path in lists:
            arguments += ["--trials", str(self.folder / path)]
        return arguments

    def run(self, out, *lists, **settings):
        """Verifies; returns the folder of the results, and how many utterances were embedded."""
        self.embedded.clear()
        main = runpy.run_path(str(ROOT / "recipes" / "verify.py"))["main"]
        main(self.arguments(out, *lists, **settings))
        return self.folder / out, len(self.embedded)

    def keep(self, out="kept", lists=("near.txt",), **settings):
        return self.run(out, *lists, keep_embeddings=True, **settings)

    def kept_files(self):
        return sorted((self.model_dir / "embeddings").iterdir())


@pytest.fixture
def verification(tmp_path, monkeypatch):
    return Verification(tmp_path, monkeypatch)


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text())


def assert_same_scores(folder, expected):
    trials, scores = read_scores(folder / "scores.txt")
    others, other_scores = read_scores(expected / "scores.txt")
    assert trials.utterances == others.utterances and np.array_equal(trials.enrol, others.enrol)
    np.testing.assert_allclose(scores, other_scores, atol=1e-5)


SYSTEMS = [
    {},
    {"score_norm": "as", "top_n": 3, "subtract_mean": True},
    {"num_crops": 2, "crop_seconds": 0.5},
]


def test_a_model_decides_by_one_list(verification):
    with pytest.raises(InputError, match="keep_calibration: .* with one list"):
        verification.run("both", "near.txt", "far.txt", keep_calibration=True)


@pytest.mark.parametrize("settings", SYSTEMS, ids=["cosine", "normed", "crops"])
def test_lists_together_give_what_each_gives_alone(verification, settings):
    both, num_embedded = verification.run("both", "near.txt", "far.txt", **settings)
    singles = [verification.run(name, f"{name}.txt", **settings) for name in LISTS]
    extra = 4 if "score_norm" in settings else 0  # the cohort
    each = 2 if "num_crops" in settings else 1
    assert num_embedded == each * NUM_ALL + extra
    assert [count for _, count in singles] == [each * n + extra for n in (NUM_NEAR, NUM_FAR)]
    for name, (alone, _) in zip(LISTS, singles, strict=True):
        assert_same_scores(both / name, alone)
        for file in ("utterances.csv", "warnings.txt"):
            assert (both / name / file).read_bytes() == (alone / file).read_bytes()
        quality = [np.genfromtxt(folder / "quality.txt", skip_header=1, usecols=1) for folder in
                   (both / name, alone)]  # fmt: skip
        np.testing.assert_allclose(*quality, rtol=1e-6)
        assert metrics_of(both)["lists"][name] == metrics_of(both / name)
        assert metrics_of(both / name)["num_trials"] == 4
    assert not (both / "scores.txt").exists()


def test_one_table_and_one_report(verification, capsys):
    both, _ = verification.run("both", "near.txt", "far.txt", p_targets=0.1, bootstrap_draws=5)
    head, near, far, *notes = capsys.readouterr().out.strip().splitlines()
    assert " ".join(head.split()) == "trials EER % minDCF (p = 0.1)"
    for name, line in (("near", near), ("far", far)):
        summary = metrics_of(both)["lists"][name]
        expected = ["4", f"{summary['eer_percent']:.3f}", f"{summary['min_dcf_0.1']:.4f}"]
        assert line.split() == [name, *expected]
    assert any(note.startswith("note: far: No intervals") for note in notes)
    assert not any("not the same trials" in note for note in notes)
    report = (both / "report.html").read_text()
    for number, name in enumerate(LISTS, 1):
        assert f'<section id="list-{number}">\n<h2>{name}</h2>' in report
    assert set(read_results(verification.model_dir, both / "metrics.json")) == set(LISTS)


def test_pictures_of_each_list(verification, monkeypatch):
    monkeypatch.undo()
    both, _ = verification.run("both", "near.txt", "far.txt")
    assert {"det.png", "det.pdf"} == {
        p.name for p in both.iterdir() if p.suffix in (".png", ".pdf")
    }
    names = {f"{name}.{end}" for name in ("scores", "calibration") for end in ("png", "pdf")}
    for name in LISTS:
        assert names <= {path.name for path in (both / name).iterdir()}
    assert (both / "report.html").read_text().count("<img src=") == 5


def test_the_scores_of_a_list_are_read_again(verification):
    both, _ = verification.run("both", "near.txt", "far.txt")
    expected = metrics_of(both / "far")
    verification.run("again", scores=both / "far" / "scores.txt")
    assert metrics_of(verification.folder / "again") == expected


def test_every_list_is_calibrated(verification):
    content = {"weights": {"score": 2.0}, "offset": -1.0, "p_target": 0.5, "quality": []}
    path = verification.folder / "c.json"
    path.write_text(json.dumps(content | {"learnt_on": {}}))
    both, _ = verification.run("both", "near.txt", "far.txt", calibration=path)
    for name in LISTS:
        scores, llrs = (read_scores(both / name / f"{n}.txt")[1] for n in ("scores", "llrs"))
        np.testing.assert_allclose(llrs, 2 * scores - 1, rtol=1e-5)
        assert metrics_of(both)["lists"][name] == metrics_of(both / name)
        assert metrics_of(both / name)["is_calibrated"]


def test_models_of_several_lists(verification):
    models = verification.write_list("models.txt", ["zero s0/u.0 s0/u.1", "one s1/u.0 s1/u.1"])
    verification.write_list("a.txt", ["1 zero s0/u.2", "0 one s0/u.2"])
    verification.write_list("b.txt", ["1 one s1/u.3", "0 zero s1/u.3"])
    both, num_embedded = verification.run("both", "a.txt", "b.txt", enrol_models=models)
    assert num_embedded == 6
    for name in "ab":
        alone, _ = verification.run(name, f"{name}.txt", enrol_models=models)
        assert_same_scores(both / name, alone)


def test_lists_of_one_file_name_are_told_apart(verification):
    for name, lines in LISTS.items():
        verification.write_list(f"{name}/trials.txt", lines)
    both, _ = verification.run("both", "near/trials.txt", "far/trials.txt")
    assert list(metrics_of(both)["lists"]) == ["near", "far"]
    with pytest.raises(InputError, match="trials: a list is given twice: .*near.txt"):
        verification.run("same", "near.txt", "near/../near.txt")


def test_a_wrong_list_among_others_is_named_before_any_work(verification):
    verification.write_list("wrong.txt", ["1 s0/u.0 s0/u.9", "0 s0/u.0 s1/u.0"])
    with pytest.raises(InputError, match="wrong.txt:1: there is no audio file .*s0/u.9"):
        verification.run("both", "near.txt", "wrong.txt")
    verification.write_list("other_name.txt", ["1 s0/u.0.wav s0/u.3", "0 s0/u.3 s1/u.0"])
    with pytest.raises(InputError, match="other_name.txt:1: .* is already in .*near.txt:1, as"):
        verification.run("both", "near.txt", "other_name.txt")
    verification.write_list("one_class.txt", ["1 s0/u.0 s0/u.1"])
    with pytest.raises(InputError, match="one_class.txt: has only client trials"):
        verification.run("both", "near.txt", "one_class.txt")
    assert not verification.embedded and not (verification.folder / "both" / "near").exists()


# Embeddings that are kept


def test_kept_embeddings_serve_other_lists_systems_and_batches(verification):
    expected, _ = verification.run("plain", "near.txt")
    assert not (verification.model_dir / "embeddings").exists()
    kept, num_embedded = verification.keep()
    assert num_embedded == NUM_NEAR
    assert (kept / "scores.txt").read_bytes() == (expected / "scores.txt").read_bytes()
    again, num_embedded = verification.keep("again", batch_seconds=2.0)
    assert num_embedded == 0
    assert (again / "scores.txt").read_bytes() == (expected / "scores.txt").read_bytes()
    lists = "near.txt", "far.txt"
    both, num_embedded = verification.keep("both", lists)
    assert num_embedded == NUM_ALL - NUM_NEAR
    assert_same_scores(both / "near", expected)
    normed = {"score_norm": "as", "top_n": 3}
    assert verification.keep("normed", lists, **normed)[1] == 3  # one of the cohort is in a list
    assert verification.keep("plda", lists, **normed | {"subtract_mean": True})[1] == 0
    crops = {"num_crops": 2, "crop_seconds": 0.5}
    assert verification.keep("crops", **crops)[1] == 2 * NUM_NEAR
    assert verification.keep("crops", **crops)[1] == 0
    assert not list(verification.folder.glob("*/embeddings.partial"))


def test_what_has_changed_is_embedded_again(verification):
    verification.keep()
    assert verification.keep(precision="bf16")[1] == NUM_NEAR
    assert verification.keep()[1] == 0  # the others are still there
    path = verification.folder / "audio" / "s0" / "u.0.wav"
    write_voice(path, 300)
    changed, num_embedded = verification.keep()
    assert num_embedded == 1
    assert_same_scores(changed, verification.run("plain", "near.txt")[0])
    os.utime(path, ns=(0, 0))
    assert verification.keep()[1] == 1
    write_weights(verification.model_dir, seed=1)
    other, num_embedded = verification.keep()
    assert num_embedded == NUM_NEAR and len(verification.kept_files()) == 1
    assert_same_scores(other, verification.run("plain", "near.txt")[0])


@pytest.mark.parametrize("damage", ["half", "empty", "flip", "other"])
def test_a_damaged_file_is_made_anew(verification, damage, caplog):
    expected, _ = verification.keep()
    (path,) = verification.kept_files()
    data = path.read_bytes()
    middle = data.index(b"embeddings.npy") + 200
    path.write_bytes(
        {
            "half": data[: len(data) // 2],
            "empty": b"",
            "flip": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        }.get(damage, b"")
    )
    if damage == "other":
        np.savez(path, keys=np.zeros(3), embeddings=np.zeros((3, 8)), levels=np.zeros(3))
    found, num_embedded = verification.keep("again")
    assert num_embedded == NUM_NEAR and "is damaged" in caplog.text
    assert (found / "scores.txt").read_bytes() == (expected / "scores.txt").read_bytes()
    assert not path.exists() and verification.keep("third")[1] == 0


def test_an_interrupted_run_keeps_what_is_whole(verification, monkeypatch):
    settings = {"score_norm": "as", "top_n": 3, "batch_seconds": 3.0}
    (verification.model_dir / "embeddings").mkdir()
    leftover = verification.model_dir / "embeddings" / ".a-fp32.b.npz.0123456789ab.tmp"
    leftover.write_bytes(b"half")
    embed_batch = embedding.embed_batch

    def stop(*arguments):
        if len(verification.embedded) >= NUM_NEAR + 2:  # in the cohort
            raise KeyboardInterrupt
        return embed_batch(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(embedding, "embed_batch", stop)
        with pytest.raises(KeyboardInterrupt):
            verification.keep(**settings)
    found, num_embedded = verification.keep(**settings)
    assert num_embedded <= 2 and not leftover.exists()
    assert_same_scores(found, verification.run("plain", "near.txt", **settings)[0])


def test_silence_is_refused_again_and_what_cannot_be_read_is_not_kept(verification, tmp_path):
    import soundfile

    audio = shutil.copytree(tmp_path / "audio", tmp_path / "other")
    soundfile.write(audio / "s0" / "u.1.wav", np.zeros(16000), 16000)
    for _ in range(2):
        with pytest.raises(InputError, match=r"near.txt:1: .*u.1.wav is digital silence"):
            verification.keep(valid_data_dir=audio)
    assert not verification.embedded  # the second time
    write_voice(audio / "s0" / "u.1.wav", 200)
    assert verification.keep(valid_data_dir=audio)[1] == 1


def test_a_folder_that_takes_nothing_is_named_before_any_work(verification):
    (verification.model_dir / "embeddings").write_text("a file")
    with pytest.raises(InputError, match="embeddings: can't be written"):
        verification.keep()
    assert not verification.embedded


def test_manifests_of_lists_have_their_utterances_only(verification):
    both, _ = verification.run("both", "near.txt", "far.txt")
    rows = [row["ID"] for row in read_manifest(both / "utterances.csv")]
    assert len(rows) == len(set(rows)) == NUM_ALL
    assert {row["ID"] for row in read_manifest(both / "far" / "utterances.csv")} < set(rows)
