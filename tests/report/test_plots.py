"""Pictures of scored trials: what is drawn where, and the files."""

import matplotlib.image
import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import norm

from local.errors import InputError
from local.evaluation.cllr import convex_hull
from local.evaluation.intervals import BAND_RATES, NO_INTERVALS, Intervals
from local.evaluation.metrics import bayes_threshold, curve_act_dcf, curve_min_dcf, detection_curve
from local.evaluation.summary import Costs
from local.report.det_plot import det_figure
from local.report.figure_files import save_figure, svg_text
from local.report.score_plots import calibration_figure, score_histogram_figure

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
    curve = detection_curve(*trials)
    figures = {
        "det": det_figure({"system": curve}, Costs((0.01,)), calibrated=["system"]),
        "scores": score_histogram_figure(*trials, {"EER": 0.5, "far": 1e9}),
        "calibration": calibration_figure(curve, (0.01,)),
    }
    for name, figure in figures.items():
        save_figure(figure, tmp_path / name)
    expected = [f"{name}.{ending}" for name in sorted(figures) for ending in ("pdf", "png")]
    assert sorted(file.name for file in tmp_path.iterdir()) == expected
    assert all(file.read_bytes().startswith(b"%PDF") for file in tmp_path.glob("*.pdf"))
    for file in tmp_path.glob("*.png"):
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
    figure = det_figure({"system": detection_curve(*trials)}, Costs((0.5, 0.01)))
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
    (legend,) = figure.legends
    names = [text.get_text().split(":")[0] for text in legend.get_texts()]
    assert names == ["good", "bad"]
    handles, _ = figure.axes[0].get_legend_handles_labels()
    assert len({handle.get_color() for handle in handles}) == 2


def test_interval_of_the_eer_and_band_of_the_curve():
    curve = detection_curve(*normal_scores(5000, 2.0))
    band = np.stack([np.full(len(BAND_RATES), rate) for rate in (0.1, 0.3)])
    intervals = Intervals({"eer_percent": np.linspace(10.0, 20.0, 1001)}, band)
    figure = det_figure({"system": curve}, intervals={"system": intervals})
    (text,) = legend_texts(figure)
    assert text.endswith(" [10.25, 19.75]")
    (bar,) = [line for line in figure.axes[0].lines if line.get_linewidth() == 3.0]
    np.testing.assert_allclose(bar.get_xydata(), ndtri([[0.1025] * 2, [0.1975] * 2]))
    (area,) = figure.axes[0].collections
    heights = area.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx(tuple(ndtri([0.1, 0.3])))


def test_bands_of_many_systems_are_left_out():
    curve = detection_curve(*normal_scores(500, 2.0))
    band = np.full((2, len(BAND_RATES)), 0.1)
    intervals = dict.fromkeys("abc", Intervals({"eer_percent": np.arange(9.0)}, band))
    for names, num_bands in (("ab", 2), ("abc", 0)):
        figure = det_figure(dict.fromkeys(names, curve), intervals=intervals)
        assert len(figure.axes[0].collections) == num_bands
        assert all("[0.20, 7.80]" in t.get_text() for t in figure.legends[0].get_texts())


def test_no_intervals_are_drawn_where_there_are_none():
    curve = detection_curve(*normal_scores(500, 2.0))
    figure = det_figure({"system": curve}, intervals={"system": NO_INTERVALS})
    assert not figure.axes[0].collections and "[" not in legend_texts(figure)[0]


def test_actual_decisions_of_calibrated_scores_are_marked():
    scores, is_client = normal_scores(2000, 3.0)
    curve = detection_curve(3.0 * (scores - 1.5), is_client)
    figure = det_figure({"system": curve}, Costs((0.05,)), calibrated=["system"])
    threshold = bayes_threshold(0.05)
    rates = [np.mean(3.0 * (scores - 1.5)[~is_client] >= threshold)]
    rates.append(np.mean(3.0 * (scores - 1.5)[is_client] < threshold))
    assert marker_positions(figure, "x") == [pytest.approx(ndtri(rates).tolist())]
    cost = curve_act_dcf(curve, 0.05)[0]
    assert legend_texts(figure)[-1] == f"system: actDCF(0.05) {cost:.3f}"
    assert marker_positions(det_figure({"system": curve}, Costs((0.05,))), "x") == []


def test_histogram_shows_each_class_in_percent():
    scores, is_client = normal_scores(1000, 2.0)
    figure = score_histogram_figure(scores, is_client, {"EER": 1.0, "minDCF(0.01)": 99.0})
    for bars in figure.axes[0].patches:
        heights, edges, _ = bars.get_data()
        assert heights.sum() == pytest.approx(100.0)
        assert (edges[0], edges[-1]) == pytest.approx((scores.min(), scores.max()))
    expected = ["impostors (750)", "clients (250)", "EER: 1.000"]
    assert legend_texts(figure) == [*expected, "minDCF(0.01): 99.000 (beyond the scores)"]
    marked = [line.get_xdata() for line in figure.axes[0].lines if len(line.get_xdata())]
    assert marked == [[1.0, 1.0]]


def test_calibration_plot_by_hand():
    # Steps of 3 impostors; a client and an impostor; two clients.
    trials = ([0.9, 0.6, 0.4, 0.5, 0.3, 0.2, 0.1], [True] * 3 + [False] * 4)
    curve = detection_curve(*trials)
    map_axes, cost_axes = calibration_figure(curve, (0.05,)).axes
    values, edges, _ = map_axes.patches[0].get_data()
    np.testing.assert_allclose(values, [-np.inf, np.log((1 / 3) / (1 / 4)), np.inf])
    np.testing.assert_allclose(edges, convex_hull(curve).thresholds)
    costs = {line.get_label(): line for line in cost_axes.lines}
    for label, function in (("actual", curve_act_dcf), ("minimum", curve_min_dcf)):
        x, y = costs[label].get_data()
        expected = [function(curve, 1 / (1 + np.exp(-odds)))[0] for odds in x]
        np.testing.assert_allclose(y, expected, atol=1e-12)


def test_a_page_gets_the_picture_as_text():
    figure = score_histogram_figure(*normal_scores(100, 1.0))
    text = svg_text(figure)
    assert "<svg" in text and text == svg_text(figure)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="det.png: can't be written"):
        save_figure(det_figure({"system": detection_curve(*TWO)}), tmp_path / "missing" / "det")
