"""Settings of all tests."""

import sys

import pytest
import torch


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems():
    _let_hypothesis_meet_speechbrain()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    # Again, because a test may be the first to import SpeechBrain.
    _let_hypothesis_meet_speechbrain()


def _let_hypothesis_meet_speechbrain():
    """Lets hypothesis and SpeechBrain be in one test run.

    hypothesis asks each loaded module for its `__file__`. SpeechBrain's stand-ins for moved modules
    answer by importing them, and fail where, for example, k2 is not installed.
    """
    importutils = sys.modules.get("speechbrain.utils.importutils")
    if importutils is not None:
        importutils.LazyModule.__file__ = None


@pytest.fixture
def few_threads():
    """Tiny tensors: handing them from thread to thread costs more than they do."""
    torch.set_num_threads(1)
