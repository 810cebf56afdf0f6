from ruamel.yaml import YAML

from local.model_files.differences import differences


def test_another_class_is_a_difference_and_a_setting_that_is_off_is_none():
    before, now = map(
        YAML().load, ("a: !new:x.A\n  b: 1\n", "a: !new:x.B\n  b: 1\n  c: False\n  d: none\n")
    )
    assert list(differences(before, now)) == [("a is", "!new:x.A", "!new:x.B")]


BEFORE = """
extractor: !new:local.models.embedding.EmbeddingExtractor
    front_end: !new:local.models.vgg.VGG
        channels: !apply:local.models.vgg.vgg_channels [4, 128]
        num_features: 80
        batch_norm: True
"""
TODAY = """
extractor: !new:local.models.embedding.EmbeddingExtractor
    front_end: !apply:local.models.front_ends.make_front_end
        name: vgg
        num_features: 80
        width: WIDTH
        num_blocks: 4
        batch_norm: True
"""


def test_a_definition_from_before_the_choice_of_a_front_end_is_the_same_as_one_of_today():
    load = YAML().load
    assert not list(differences(load(BEFORE), load(TODAY.replace("WIDTH", "128"))))
    changes = list(differences(load(BEFORE), load(TODAY.replace("WIDTH", "64"))))
    assert changes == [("extractor.front_end.width", 128, 64)]
