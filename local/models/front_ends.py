"""The front ends by their names: features to a sequence of states."""

from local.models.library import Ecapa, ResNet34, XVector
from local.models.repvgg import RepVGG
from local.models.vgg import VGG, vgg_channels

FRONT_ENDS = {
    "vgg": VGG,
    "repvgg": RepVGG,
    "resnet34": ResNet34,
    "ecapa": Ecapa,
    "xvector": XVector,
}


def make_front_end(name, num_features=80, width=128, num_blocks=4, batch_norm=True):
    """The front end of that name, with those of the settings that it has.

    Arguments
    ---------
    name : str
        One of FRONT_ENDS.
    num_features : int
        Features a frame.
    width : int
        Channels of the last block of vgg, repvgg and resnet34, halved from block to block
        backwards; of ecapa and xvector, those of all layers but the last, which has three times as
        many.
    num_blocks : int
        Of vgg.
    batch_norm : bool
        Of vgg; the others always have it.

    Raises
    ------
    ValueError
        For an unknown name, and a width that the front end can't have.

    Example
    -------
    >>> make_front_end("vgg", num_features=80, width=64, num_blocks=3).output_size
    640
    """
    if name not in FRONT_ENDS:
        raise ValueError(f"front_end {name!r} is unknown: take one of {', '.join(FRONT_ENDS)}")
    if name == "vgg":
        return VGG(vgg_channels(num_blocks, width), num_features, batch_norm)
    return FRONT_ENDS[name](width, num_features)
