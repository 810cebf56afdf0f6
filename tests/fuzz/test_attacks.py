"""Model directories that are made to run a program, or to fill the memory."""

import io
import os
import pickle
import struct
import zipfile

import fuzzing
import numpy as np
import pytest
import torch
from exports import make_model_dir
from original_network import OriginalNetwork, checkpoint_of

from local.embeddings.people import read_people
from local.errors import InputError
from local.evaluation import calibration
from local.export.trained import read_settings, read_trained
from local.features.files import check_features, read_features
from local.model_files.model_dir import load_model, weight_files
from local.model_files.original import convert

# Each is put at the end of a model.yaml; MARK is a file that a program would make.
PROGRAMS = {
    "apply": 'x: !apply:os.system ["touch MARK"]',
    "new": 'x: !new:subprocess.Popen [["touch", "MARK"]]',
    "name": "x: !name:os.system",
    "module": "x: !module:os",
    "include": "x: !include:MARK.yaml",
    "applyref": 'x: !applyref:os.system ["touch MARK"]',
    "python apply": 'x: !!python/object/apply:os.system ["touch MARK"]',
    "python new": "x: !!python/object/new:os.system [touch MARK]",
    "python module": "x: !!python/module:os ''",
    "python name": "x: !!python/name:os.system ''",
    "verbatim tag": 'x: !<tag:yaml.org,2002:python/object/apply:os.system> ["touch MARK"]',
    "key": '? !apply:os.system ["touch MARK"]\n: 1',
    "inside of an allowed one": "x: !name:local.models.vgg.VGG\n  a: !apply:os.getcwd []",
    "alias": 'x: &a !apply:os.system ["touch MARK"]\ny: *a',
    "merge": 'x:\n  <<: &a {b: !apply:os.system ["touch MARK"]}\ny: *a',
    "module of an allowed one": "x: !apply:local.models.vgg.torch.hub.load [a, b]",
    "import of an allowed one": "x: !apply:local.models.pooling.math.sqrt [4]",
    "method of an allowed one": "x: !apply:local.models.vgg.VGG.load_state_dict [{}]",
    "beginning of an allowed one": "x: !new:local.models.vgg.VGG2 [[8]]",
    "other function of the recipe": "x: !apply:local.atomic.read_text [/etc/passwd]",
    "copy": "x: !copy <sample_rate>",
    "reference": "x: !ref <sample_rate> + 1",
    "placeholder": "x: !PLACEHOLDER",
    "second document": '---\nx: !apply:os.system ["touch MARK"]',
}
# Texts that HyperPyYAML takes for tuples, and builds.
TUPLES = {
    "value": ("normalization: cmn", "normalization: (!!python/object/apply:os.mkdir [MARK])"),
    "quoted": ("normalization: cmn", 'normalization: "(!!python/object/apply:os.mkdir [MARK])"'),
    "name": ("sample_rate: 16000\n  num", "(!!python/object/apply:os.mkdir [MARK]): 1\n  num"),
}
LAUGHS = "".join(f"a{n + 1}: &a{n + 1} [{f'*a{n}, ' * 10}]\n" for n in range(9))
LARGE = {
    "billion laughs": f"a0: &a0 [1, 1]\n{LAUGHS}",
    "laughs of names": "b0: &b0 {x: 1}\n"
    + "".join(f"b{n + 1}: &b{n + 1} {{x: *b{n}, y: *b{n}}}\n" for n in range(60)),
    "alias of itself": "a: &a [*a]",
    "deep list": "a: " + "[" * 100_000,
    "deep mapping": "".join(f"{' ' * n}a:\n" for n in range(400)),
    "long list": f"a: [{'1,' * 400_000}]",
    "long number": f"a: {'9' * 900_000}",
    "long text": f"a: {'x' * 1_100_000}",
}
OF_VGG = "name: vgg\n    num_features: 40\n    width: 32\n"
FRONT_END = f"!apply:local.models.front_ends.make_front_end\n    {OF_VGG}    num_blocks: 4\n"
NETWORKS = {
    "width": ("width: 32", "width: 3200000"),
    "width of repvgg": (OF_VGG, "name: repvgg\n    width: 800000\n"),
    "width of ecapa": (OF_VGG, "name: ecapa\n    width: 800000\n"),
    "channels": (FRONT_END, "!new:local.models.vgg.VGG\n    channels: [1000000000000, 4]\n"),
    "blocks": ("num_blocks: 4", "num_blocks: 1000000000000"),
    "embedding": ("embedding_size: 8", "embedding_size: 4000000000"),
    "hidden": ("hidden_size: 0", "hidden_size: 30000000"),
    "mels": ("num_mels: 40", "num_mels: 1000000000"),
    "frame": ("num_mels: 40", "fft_size: 100000000000"),
    "hop": ("num_mels: 40", "hop: 0"),
    "rate": ("sample_rate: 16000\nf", "sample_rate: 100000000000\nf"),
    "mels of the network": ("num_features: 40", "num_features: 100000000"),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """{name: bytes} of the files of a model directory."""
    folder = make_model_dir(tmp_path_factory.mktemp("model") / "model")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def model_dir(written, tmp_path):
    for name, content in written.items():
        (tmp_path / name).write_bytes(content)
    load_model(tmp_path)
    return tmp_path


def refusal(call, *arguments):
    """What is said when a call is refused, which takes neither much time nor much memory."""
    said = []

    def case(rng):
        try:
            call(*arguments)
        except InputError as error:
            said.append(str(error))
            raise

    fuzzing.assert_sound(case, cases=1, seed=0)
    assert said, "it was not refused"
    return said[0]


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_in_a_definition_is_refused_by_name_and_line(model_dir, name):
    mark, path = model_dir / "mark", model_dir / "model.yaml"
    (model_dir / "mark.yaml").write_text('x: !apply:os.system ["touch MARK"]')
    text = path.read_text().rstrip()
    path.write_text(f"{text}\n{PROGRAMS[name].replace('MARK', str(mark))}\n")
    said = refusal(load_model, model_dir)
    assert said.startswith(f"{path}:") and not mark.exists()
    line = text.count("\n") + 2 + (name in ("merge", "inside of an allowed one"))
    assert said.startswith(f"{path}:{line}: ")
    assert name in ("merge", "second document") or "Nothing was built" in said


def test_nothing_is_built_before_all_is_read(model_dir, monkeypatch):
    monkeypatch.setattr("local.features.LogMel.__init__", lambda *_: pytest.fail("it was built"))
    with open(model_dir / "model.yaml", "a") as file:
        file.write("\nx: !apply:os.getcwd []\n")
    refusal(load_model, model_dir)


@pytest.mark.parametrize("name", TUPLES)
def test_texts_are_texts(model_dir, name):
    old, new = TUPLES[name]
    change(model_dir / "model.yaml", old, new.replace("MARK", str(model_dir / "mark")))
    assert "is no value" in refusal(load_model, model_dir)
    assert not (model_dir / "mark").exists()


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("file", ["model.yaml", "hyperparams.yaml"])
def test_definitions_that_grow_are_refused(model_dir, name, file):
    path = model_dir / file
    path.write_text(f"{path.read_text().rstrip()}\n{LARGE[name]}\n")
    if (name, file) == ("alias of itself", "hyperparams.yaml"):
        read_settings(model_dir)  # which then has nothing in its place
        return
    said = refusal(load_model if file == "model.yaml" else read_settings, model_dir)
    assert str(path) in said and len(said) < 2000


def test_a_definition_of_a_gigabyte_is_not_read(model_dir):
    with open(model_dir / "model.yaml", "r+b") as file:
        file.truncate(2**30)
    assert "is larger than" in refusal(load_model, model_dir)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_that_is_larger_than_its_weights_is_not_built(model_dir, name):
    change(model_dir / "model.yaml", *NETWORKS[name])
    assert "model.yaml" in refusal(load_model, model_dir)


# Pickles and weights


class Call:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_a_configuration_is_not_unpickled(model_dir):
    mark = model_dir / "mark"
    classifier = {"class": "!apply:os.system", "arguments": [f"touch {mark}"]}
    for content in ({"classifier": classifier}, Call(os.mkdir, str(mark))):
        (model_dir / "config.pkl").write_bytes(pickle.dumps(content))
        read_trained(model_dir)
    assert not mark.exists()


def zipped(parts, compression=zipfile.ZIP_STORED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(f"model/{name}", data)
    return content.getvalue()


def with_pickle(pickled):
    """A file of weights with a pickle of our own."""
    return zipped({"data.pkl": pickled, "byteorder": b"little", "version": b"3\n"})


def call_of(name, argument):
    """A pickle that calls a function with a whole number."""
    return b"\x80\x02c" + name.replace(" ", "\n").encode() + b"\n" + argument + b"\x85R."


def saved(content, **options):
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def content_with(**changes):
    """What a file of weights holds, with changes."""
    ours = {"extractor": {"weight": torch.ones(2)}, "step": 1, "eer_percent": 1.0}
    return saved(ours | changes)


TEN_GB = b"\x8a\x05" + struct.pack("<q", 10**10)[:5]
WEIGHTS = {
    "program": lambda mark: with_pickle(pickle.dumps(Call(os.mkdir, mark), 2)),
    "program of another module": lambda mark: with_pickle(
        pickle.dumps(Call(torch.hub.load_state_dict_from_url, mark), 2)
    ),
    "old format with a program": lambda mark: pickle.dumps(Call(os.mkdir, mark), 2),
    "old format": lambda mark: saved({"a": 1}, _use_new_zipfile_serialization=False),
    "compressed zeros": lambda mark: zipped(
        {"data.pkl": b"\x80\x02]" + b"N0" * 10_000_000 + b"."}, zipfile.ZIP_DEFLATED
    ),
    "compressed tensor": lambda mark: zipped(
        {"data.pkl": b"N.", "data/0": bytes(2**26)}, zipfile.ZIP_DEFLATED
    ),
    "bytearray of ten gigabytes": lambda mark: with_pickle(call_of("builtins bytearray", TEN_GB)),
    "tensor of ten gigabytes": lambda mark: with_pickle(call_of("torch Tensor", TEN_GB)),
    "number that stands for a matrix": lambda mark: content_with(
        extractor={"weight": torch.ones(1).expand(200_000, 200_000)}
    ),
    "numbers that stand for many tensors": lambda mark: content_with(
        extractor=dict.fromkeys(map(str, range(10_000)), torch.ones(100_000))
    ),
    "no tensors": lambda mark: content_with(extractor={"weight": 3}),
    "sparse tensors": lambda mark: content_with(extractor={"weight": torch.ones(2).to_sparse()}),
    "tensors on no device": lambda mark: content_with(
        extractor={"weight": torch.ones(2, device="meta")}
    ),
    "names that are none": lambda mark: content_with(extractor={3: torch.ones(2)}),
    "not a number": lambda mark: content_with(extractor={"weight": torch.tensor([1, np.nan])}),
    "text as a step": lambda mark: content_with(step="1"),
    "list as a threshold": lambda mark: content_with(threshold=[1]),
    "many parts": lambda mark: zipped(
        {f"{n:01000d}": b"" for n in range(5000)} | {"data.pkl": b"N."}
    ),
    "long pickle": lambda mark: with_pickle(b"\x80\x02" + b"N0" * 3_000_000 + b"N."),
    "nothing": lambda mark: with_pickle(b"N."),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_run_nothing_and_take_no_more_than_they_hold(model_dir, name):
    (path,) = weight_files(model_dir)
    path.write_bytes(WEIGHTS[name](str(model_dir / "mark")))
    said = refusal(load_model, model_dir)
    assert str(path) in said and not (model_dir / "mark").exists()


def test_a_definition_and_weights_that_both_say_too_much_are_refused(model_dir):
    (path,) = weight_files(model_dir)
    content = torch.load(path, weights_only=True)
    for name, tensor in content["extractor"].items():
        if name.startswith(("head.linear", "head.norm")) and tensor.ndim:
            shape = (900_000, *tensor.shape[1:])
            content["extractor"][name] = torch.ones(1).expand(shape)
    torch.save(content, path)
    change(model_dir / "model.yaml", "embedding_size: 8", "embedding_size: 900000")
    assert "of the size that it says" in refusal(load_model, model_dir)


def test_a_projection_without_weights_is_not_built(model_dir):
    (path,) = weight_files(model_dir)
    content = torch.load(path, weights_only=True)
    content["classifier"] = {"directions": torch.ones(1, 50_000), "projection.bias": torch.ones(1)}
    torch.save(content, path)
    fuzzing.assert_sound(lambda rng: read_trained(model_dir), cases=1, seed=0)
    assert read_trained(model_dir).classifier is None


# Checkpoints of the original code


def test_settings_of_an_original_checkpoint_are_texts(tmp_path):
    text = f"(!!python/object/apply:os.mkdir [{tmp_path / 'mark'}])"
    content = checkpoint_of(OriginalNetwork(), normalization=text, train_data_dir=text)
    torch.save(content, tmp_path / "original.chkpt")
    refusal(convert, tmp_path / "original.chkpt", tmp_path / "model")
    convert(tmp_path / "original.chkpt", tmp_path / "model", normalization="cmn")
    assert read_settings(tmp_path / "model")["train_data_dir"] == text
    assert f'"{text}"' in (tmp_path / "model" / "hyperparams.yaml").read_text()
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "shapes",
    [
        {"front_end.conv42.bias": [80_000]},
        {"fc1.bias": [100_000], "fc2.weight": [6, 100_000], "fc1.weight": [100_000, 1]},
        {"fc2.weight": [60_000, 7], "predictionLayer.W": [1, 60_000]},
    ],
)
def test_an_original_network_is_as_large_as_its_weights(tmp_path, shapes):
    content = checkpoint_of(OriginalNetwork())
    content["model"] |= {name: torch.ones(shape) for name, shape in shapes.items()}
    torch.save(content, tmp_path / "original.chkpt")
    refusal(convert, tmp_path / "original.chkpt", tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["original.chkpt"]


# Features, calibrations


def npy_header(shape):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


def pickled_array(shape, **options):
    """The pickle of ten numbers, which says that it has another shape."""
    content = pickle.dumps(np.ones(10, "f4"), 2)
    assert b"K\x0a\x85" in content
    numbers = b"".join(b"\x8a\x05" + struct.pack("<q", size)[:5] for size in shape)
    return content.replace(b"K\x0a\x85", numbers + b"\x86")


FEATURES = {
    "a.npy": npy_header((10**9, 80)) + bytes(3200),
    "b.npy": npy_header((10, 10**10)) + bytes(3200),
    "c.npy": b"\x93NUMPY\x01\x00v\x00" + b"(" * 118,
    "d.pickle": pickled_array((10**9, 80)),
    "e.pickle": b"\x80\x02K\x01r\xff\xff\xff\x7f.",
    "f.pickle": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",
    "g.pickle": b"\x80\x02cnumpy\nndarray\n(" + TEN_GB + b"t\x85R.",
    "h.pickle": b"\x80\x02c_codecs\nencode\nN}(V__defaults__\nNu\x86b.",
}


@pytest.mark.parametrize("name", FEATURES)
def test_features_are_no_larger_than_their_file(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(FEATURES[name])
    for read in (lambda: check_features(path, 80, 100), lambda: read_features(path, 0, None)):
        assert str(path) in refusal(read)


# Each takes the place of an array in a file of people.
PEOPLE = {
    "a program": lambda: pickle.dumps(Call(os.mkdir, "mark"), 2),
    "an array of objects": lambda: numpy_bytes(np.array([Call(os.mkdir, "mark")], object)),
    "a promise": lambda: npy_header((10**10, 256)) + bytes(3200),
    "an empty promise": lambda: npy_header((0, 10**10)),
    "a deep header": lambda: b"\x93NUMPY\x01\x00\x00\x20" + b"-" * 8192,
    "a long name": lambda: numpy_bytes(np.array("a" * 10_000)),
    "commands to a terminal": lambda: numpy_bytes(np.array(["\x1b]0;a\x07"])),
    "no character": lambda: numpy_bytes(np.array(["a"])).replace(b"a\0\0\0", b"\xff" * 4),
}


def numpy_bytes(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("name", PEOPLE)
@pytest.mark.parametrize("which", ["names", "embeddings", "num_utterances", "model"])
def test_a_file_of_people_is_four_plain_arrays(tmp_path, monkeypatch, name, which):
    monkeypatch.chdir(tmp_path)
    arrays = {"names": ["a"], "embeddings": np.ones((1, 2), "f4"), "num_utterances": [1]}
    parts = {key: numpy_bytes(np.array(value)) for key, value in (arrays | {"model": "ab"}).items()}
    with zipfile.ZipFile("people.npz", "w") as archive:
        for key, content in (parts | {which: PEOPLE[name]()}).items():
            archive.writestr(f"{key}.npy", content)
    if (name, which) == ("a long name", "model"):
        assert read_people("people.npz").names == ["a"]
    else:
        assert "people.npz: is damaged" in refusal(read_people, "people.npz")
    assert not os.path.exists("mark")


def test_people_that_grow_are_not_read(tmp_path):
    path = tmp_path / "people.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("names.npy", npy_header((2**24,)) + bytes(2**24))
    assert "it is compressed" in refusal(read_people, path)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"quality": [], "weights": {"score": NaN}, "offset": 0, "p_target": 0.5}',
        '{"quality": [], "weights": {"score": 1e999}, "offset": 0, "p_target": 0.5}',
        f'{{"quality": [], "weights": {{"score": {"9" * 4000}}}, "offset": 0, "p_target": 0.5}}',
        f'{{"quality": [], "weights": {{"score": {"9" * 9000}}}, "offset": 0, "p_target": 0.5}}',
    ],
    ids=["lists", "objects", "nan", "infinite", "large", "larger"],
)
def test_calibrations_are_plain_numbers(tmp_path, text):
    (tmp_path / "calibration.json").write_text(text)
    assert "is no calibration" in refusal(calibration.load, tmp_path / "calibration.json")


def test_a_calibration_of_a_gigabyte_is_not_read(tmp_path):
    with open(tmp_path / "calibration.json", "wb") as file:
        file.truncate(2**30)
    assert "larger than" in refusal(calibration.load, tmp_path / "calibration.json")
