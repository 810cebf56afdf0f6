"""Settings of all tests."""

import logging
import os
import shutil
import sys

# Tensors are tiny: handing them from thread to thread costs more than computing them. For the
# processes that tests start, too.
os.environ["OMP_NUM_THREADS"] = "1"

import hypothesis
import numpy as np
import pytest
import torch

torch.set_num_threads(1)
# The same examples each time, and however long they take.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True)
hypothesis.settings.load_profile("repeatable")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items):
    _let_hypothesis_meet_speechbrain()
    yield
    if not (torch.cuda.is_available() or "GPU_OF_TESTS" in os.environ):
        reason = "needs a GPU that torch can use (GPU_OF_TESTS=cpu tries the test itself)"
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason=reason))
    # Those that take longest come first, so that no core is left alone with them at the end.
    items.sort(key=lambda item: "tests/training" not in item.path.as_posix())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call():
    # Again, because a test or a fixture may be the first to import SpeechBrain.
    _let_hypothesis_meet_speechbrain()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol():
    """Gives logging back as it was: a script's handlers would write to a stream that is closed."""
    root = logging.getLogger()
    handlers, level, disabled = list(root.handlers), root.level, root.manager.disable
    try:
        return (yield)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.disable(disabled)


def _let_hypothesis_meet_speechbrain():
    """Lets hypothesis and SpeechBrain be in one test run.

    hypothesis asks each loaded module for its `__file__`. SpeechBrain's stand-ins for moved modules
    answer by importing them, and fail where, for example, k2 is not installed.
    """
    importutils = sys.modules.get("speechbrain.utils.importutils")
    if importutils is not None:
        importutils.LazyModule.__file__ = None


@pytest.fixture(autouse=True)
def seeded():
    """Each test draws the same numbers, whatever runs before it."""
    torch.manual_seed(0)
    np.random.seed(0)


@pytest.fixture
def kernels():
    """What is chosen of a GPU's for the whole process: TF32 of products, of convolutions; trying.

    It is restored after the test.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
    yield lambda: (matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark)
    matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = before


@pytest.fixture(scope="session")
def made_model(tmp_path_factory):
    """The directory of a small model that nobody changes."""
    from exports import make_model_dir  # here, as most tests need no model

    return make_model_dir(tmp_path_factory.mktemp("made") / "model")


@pytest.fixture
def model_dir(made_model, tmp_path):
    """A copy of it that a test may change."""
    return shutil.copytree(made_model, tmp_path / "model")


@pytest.fixture(autouse=True, scope="session")
def no_list_of_packages():
    """For its env.log SpeechBrain lists all packages in each run, which takes a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("speechbrain.utils.logger.get_environment_description", str)
        yield


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """One more than there are cores: many tests wait for processes that they have started."""
    return len(os.sched_getaffinity(0)) + 1
