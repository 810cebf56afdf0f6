import pytest

from local.settings.arguments import split_paths


@pytest.mark.parametrize(
    "options, rest, paths",
    [
        ("a.wav b.wav", "", "a.wav b.wav"),
        ("--p_target 0.1 a.wav --device=cpu b.wav", "--p_target 0.1 --device=cpu", "a.wav b.wav"),
        ("a.wav --json b.wav", "--json True", "a.wav b.wav"),
        ("a.wav --json", "--json True", "a.wav"),
        ("--json False a.wav", "--json False", "a.wav"),
        ("--json true a.wav", "--json true", "a.wav"),
        ("--json=False a.wav", "--json=False", "a.wav"),
        ("a.wav --p_target", "--p_target", "a.wav"),
        ("", "", ""),
    ],
)
def test_paths_among_options(options, rest, paths):
    found = split_paths(["a.yaml", *options.split()], flags=["json"])
    assert found == (["a.yaml", *rest.split()], paths.split())
