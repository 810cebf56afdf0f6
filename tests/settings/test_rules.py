"""Every plain setting of hparams/*.yaml with values that it can't have."""

from pathlib import Path

import pytest

from local.command_line import load_hparams
from local.errors import InputError
from local.features import LogMel
from local.settings.arguments import read_settings, split_settings
from local.settings.rules import RULES, Names, Numbers, check, is_text, tag_of

ROOT = Path(__file__).resolve().parents[2]
DEFAULTS = {
    path.stem: read_settings(path.read_text(encoding="utf-8"), path)
    for path in sorted((ROOT / "hparams").glob("*.yaml"))
}
PLAIN = [
    (stem, name)
    for stem, defaults in DEFAULTS.items()
    for name, value in defaults.items()
    if tag_of(value) in (None, "!ref") and not isinstance(value, dict)
]
NEVER_NUMBERS = ["nan", ".nan", ".inf", "-.inf", "1e400", "-1e400", "word", "true", "[[1]]", "-"]
NEVER_NUMBERS += ["{a: 1}", "2024-05-01", "1:30", "1,5", "-1000", "1e31", "''", "a: b: c", "[", "%"]
NEVER_NAMES = ["word", "1", "0", "nan", "[[fp32]]", "{a: 1}", "'", "yes", "2024-05-01"]
# The settings that take 0, and what the lowest number of the others is.
FROM_0 = {
    *("min_seconds", "max_memory_gb", "num_workers", "seed", "max_masked_mels", "head_drop"),
    *("hidden_size", "margin", "weight_decay", "average_decay", "num_crops", "bootstrap_draws"),
    *("held_out_share", "threshold", "duration_edges", "seeds", "task", "port"),
}


def value_of(stem, name, argument):
    """What an argument gives, checked; an InputError has one line."""
    defaults = DEFAULTS[stem]
    try:
        ((_, value),), others = split_settings([f"--{name}", argument], defaults)
        assert not others
        check(defaults | {name: value}, defaults)
    except InputError as error:
        assert len(str(error).splitlines()) == 1 and name in str(error)
        raise
    return value


def is_refused(stem, name, argument):
    try:
        value_of(stem, name, argument)
    except InputError:
        return True
    return False


@pytest.mark.parametrize("stem, name", PLAIN)
def test_every_plain_setting_refuses_what_it_cannot_be(stem, name):
    if is_text(name, DEFAULTS[stem][name]):
        assert is_refused(stem, name, "")
        return
    rule = RULES[name]  # an error: a new setting needs one
    never = NEVER_NUMBERS if isinstance(rule, Numbers) else NEVER_NAMES
    assert [argument for argument in never if not is_refused(stem, name, argument)] == []
    assert is_refused(stem, name, "null") == (not rule.or_null)
    if isinstance(rule, Numbers):
        assert is_refused(stem, name, "0") == (name not in FROM_0)
        assert is_refused(stem, name, "-1") == (name != "threshold")
        assert is_refused(stem, name, "0.5") == rule.is_whole


@pytest.mark.parametrize("stem", DEFAULTS)
def test_every_file_has_values_that_are_allowed(stem):
    check(DEFAULTS[stem], DEFAULTS[stem])
    for path in (ROOT / "hparams" / "presets").glob("*.yaml"):
        check(read_settings(path.read_text(encoding="utf-8"), path), DEFAULTS["vgg"])


@pytest.mark.parametrize(
    "rule, text",
    [
        (Numbers(1, 9), "a whole number from 1 to 9"),
        (Numbers(0, 1, is_whole=False, is_above=True), "a number above 0 up to 1"),
        (Numbers(0, 1, is_whole=False, is_below=True), "a number from 0 and below 1"),
        (Numbers(1, 9, or_null=True), "a whole number from 1 to 9, or null"),
        (Names(("a", "b", "c")), "a, b or c"),
        (Names(("a", "b"), or_list=True), "a or b, or a list of these"),
    ],
)
def test_rules_in_words(rule, text):
    assert str(rule) == text


def test_a_chunk_has_a_frame_at_least():
    assert RULES["chunk_samples"].low == LogMel().fft_size


@pytest.mark.parametrize(
    "argument, message",
    [
        ("--head_drop=!ref <seed>", "head_drop must be a number from 0 and below 1, not 1986"),
        ("--lr=!x", "could not determine a constructor for the tag '!x'"),
        ("--width=100", "width 100 can't be halved 3 times"),
        ("--width=1000000", "vgg.yaml: .*memory"),
        ("--pooling=mean", "pooling 'mean' is unknown"),
        ("--normalization=3", "normalization is cmn, cmvn or none, not '3'"),
        ("--margin_kind=x", "the margin is am or aam, not 'x'"),
        ("--margin_schedule=x", "margin schedule 'x' is none of"),
        ("--loss=3", 'loss is an object: --loss "{SETTING: VALUE}", not 3'),
        ("--loss={kind: x}", "the margin is am or aam, not 'x'"),
        ("--loss={x: 1}", "vgg.yaml: .*x"),
        ("--lr_schedules=3", "lr_schedules is an object"),
    ],
)
def test_what_shows_only_when_objects_are_made(argument, message):
    with pytest.raises(InputError, match=message) as error:
        load_hparams([str(ROOT / "hparams" / "vgg.yaml"), argument])
    assert len(str(error.value).splitlines()) == 1


def test_text_of_a_file_that_yaml_takes_for_something_else():
    with pytest.raises(InputError, match="out_dir is text, not 7: in YAML files, write it"):
        check({"out_dir": 7}, {"out_dir": 7})
    with pytest.raises(InputError, match="out_dir is text, not null"):
        check({"out_dir": None}, DEFAULTS["vgg"])
