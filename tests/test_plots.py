"""DET curves and histograms: what is drawn where, and the files."""

import matplotlib.image
import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import norm

from local.errors import InputError
from local.metrics import detection_curve
from local.plots import det_figure, plot_det, plot_score_histogram, score_histogram_figure

SEPARATED = ([0.1, 0.2, 0.8, 0.9], [False, False, True, True])
INVERTED = ([0.8, 0.9, 0.1, 0.2], [False, False, True, True])
EQUAL = ([0.5, 0.5, 0.5], [False, False, True])
TWO = ([0.3, 0.7], [False, True])
NEARLY_EQUAL = (np.array([1.0, 1.0 - 6e-8, 1.0], np.float32), [False, True, True])


def normal_scores(num_trials, distance, seed=0):
    """Clients and impostors with a theoretical EER of ndtr(-distance / 2)."""
    is_client = np.arange(num_trials) % 4 == 0
    noise = np.random.default_rng(seed).standard_normal(num_trials)
    return (noise + distance * is_client).astype(np.float32), is_client


def legend_texts(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def marker_positions(figure, marker):
    lines = [line for line in figure.axes[0].lines if line.get_marker() == marker]
    return [line.get_xydata()[0].tolist() for line in lines]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "trials",
    [
        *(SEPARATED, INVERTED, EQUAL, TWO, NEARLY_EQUAL),
        *(normal_scores(20, 1.0), normal_scores(20_000, 3.0)),
    ],
    ids=["separated", "inverted", "equal", "two", "nearly equal", "few", "many"],
)
def test_any_scores_give_a_picture(tmp_path, trials):
    plot_det({"system": detection_curve(*trials)}, tmp_path / "det.png", p_targets=(0.01,))
    plot_score_histogram(*trials, tmp_path / "scores.png", threshold=0.5)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["det.png", "scores.png"]
    for file in tmp_path.iterdir():
        picture = matplotlib.image.imread(file)
        assert min(picture.shape[:2]) >= 600
        assert picture.min() < picture.max()


def test_det_of_normal_scores_is_a_straight_line():
    figure = det_figure({"system": detection_curve(*normal_scores(100_000, 3.0))})
    curve = max(figure.axes[0].lines, key=lambda line: len(line.get_xdata()))
    x, y = curve.get_data()
    inner = (np.abs(x) < 2.0) & (np.abs(y) < 2.0)
    assert len(x) < 10_000
    np.testing.assert_allclose(x[inner] + y[inner], -3.0, atol=0.15)


@pytest.mark.parametrize(
    "trials, eer",
    [(EQUAL, 0.5), (normal_scores(10_000, 3.0), norm.cdf(-1.5)), (normal_scores(2000, 0.0), 0.5)],
)
def test_eer_is_marked_on_the_curve_and_named(trials, eer):
    figure = det_figure({"system": detection_curve(*trials)})
    ((x, y),) = marker_positions(figure, "o")
    assert x == y == pytest.approx(ndtri(eer), abs=0.1)
    curve = figure.axes[0].lines[1].get_xydata()
    assert np.abs(curve - (x, y)).max(axis=1).min() < 1e-9
    low, high = figure.axes[0].get_xlim()
    assert low < x < high
    (text,) = legend_texts(figure)
    assert text.startswith("system: EER ") and text.endswith(" %")
    assert float(text.split()[2]) == pytest.approx(100.0 * norm.cdf(x), abs=0.006)


@pytest.mark.parametrize("trials, corner", [(SEPARATED, 0), (INVERTED, 1)])
def test_an_eer_beyond_the_axes_is_marked_in_their_corner(trials, corner):
    figure = det_figure({"system": detection_curve(*trials)})
    limit = figure.axes[0].get_xlim()[corner]
    assert marker_positions(figure, "o") == [[limit, limit]]
    assert legend_texts(figure) == [f"system: EER {100 * corner}.00 %"]


def test_min_dcf_points_by_hand():
    trials = ([0.9, 0.6, 0.4, 0.5, 0.3, 0.2, 0.1], [True] * 3 + [False] * 4)
    figure = det_figure({"system": detection_curve(*trials)}, p_targets=(0.5, 0.01))
    (at_half, at_hundredth) = marker_positions(figure, "^")
    assert at_half == [pytest.approx(ndtri(0.25)), figure.axes[0].get_ylim()[0]]
    assert at_hundredth == [figure.axes[0].get_xlim()[0], pytest.approx(ndtri(1 / 3))]
    expected = ["system: minDCF(0.5) 0.250", "system: minDCF(0.01) 0.333"]
    assert legend_texts(figure)[1:] == expected


def test_ticks_are_in_percent_where_they_belong():
    axes = det_figure({"system": detection_curve(*normal_scores(1000, 2.0))}).axes[0]
    for axis in (axes.xaxis, axes.yaxis):
        percents = [float(text.get_text()) for text in axis.get_ticklabels()]
        np.testing.assert_allclose(axis.get_ticklocs(), ndtri(np.array(percents) / 100.0))


def test_systems_have_their_own_colour():
    curves = {
        "good": detection_curve(*normal_scores(500, 3.0)),
        "bad": detection_curve(*normal_scores(500, 1.0)),
    }
    figure = det_figure(curves)
    assert [text.split(":")[0] for text in legend_texts(figure)] == ["good", "bad"]
    handles = figure.axes[0].get_legend_handles_labels()[0]
    assert len({handle.get_color() for handle in handles}) == 2


def test_histogram_shows_each_class_in_percent():
    scores, is_client = normal_scores(1000, 2.0)
    figure = score_histogram_figure(scores, is_client, threshold=1.0)
    for bars in figure.axes[0].patches:
        heights, edges, _ = bars.get_data()
        assert heights.sum() == pytest.approx(100.0)
        assert (edges[0], edges[-1]) == pytest.approx((scores.min(), scores.max()))
    expected = ["impostors (750)", "clients (250)", "threshold 1.0000"]
    assert legend_texts(figure) == expected


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="det.png: can't be written"):
        plot_det({"system": detection_curve(*TWO)}, tmp_path / "missing" / "det.png")
