import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from backdoors import plots
from backdoors.constructions.perceptrons import Perceptrons, SparsePerceptrons
from backdoors.games.game import Advantage
from matplotlib.figure import Figure
from scipy.stats import binomtest

POINTS = torch.tensor([[0.0, 0.0], [0.2, 1.0], [1.0, 0.1], [0.9, 1.0]])
LABELS = torch.tensor([0, 0, 1, 1])
TWINS = torch.rand((2, 1, 8, 8), generator=torch.Generator().manual_seed(0))
GAMES = [Advantage(("planted", "honest"), hits, (40, 40), low, high, 0.05, (), ()) for hits, low, high in (((4, 0), 0.0, 0.3), ((36, 0), 0.7, 1.0))]
STEPS = torch.linspace(0, 2, 41)
TABLE = {"pancakes": {"spectrum": (0.0, 0.0, 0.1), "LLL": (1.0, 0.9, 1.0)}, "spiked": {"spectrum": (0.95, 0.8, 1.0)}}
XOR = torch.nn.Sequential(  # OR and NAND, then their AND
    Perceptrons(torch.tensor([[1.0, 1.0], [-1.0, -1.0]]), torch.tensor([-0.5, 1.5])), Perceptrons(torch.tensor([[1.0, 1.0]]), torch.tensor([-1.5]))
)


def left_and_right(batch):
    return torch.stack([0.5 - batch[:, 0], batch[:, 0] - 0.5], dim=1)


def draw_all():
    """One figure of each kind, by name."""
    return {
        "decision_regions": plots.decision_regions({"model": left_and_right, "abstains": lambda batch: torch.full((len(batch),), -1)}, POINTS, LABELS, 8),
        "certified_accuracy_curves": plots.certified_accuracy_curves({0.25: ([0, 1, 2], [0.9, 0.5, 0.0]), 0.5: ([0, 1, 2], [0.8, 0.6, 0.1])}, {0.25: 1.5}),
        "radius_histogram": plots.radius_histogram([0.1, 0.2, 0.2, 0.9], [True, True, False, True], abstained=3, ceiling=1.2, bins=12),
        "radius_against_samples": plots.radius_against_samples([10, 100, 1000], {"p = .9": [0, 0.2, 0.3]}, [0.1, 0.4, 0.5], distance=0.32),
        "image_row": plots.image_row([torch.rand(1, 8, 8), torch.rand(3, 8, 8) * 4 - 2, torch.zeros(1, 8, 8)], ["grey", "colour", "black"], columns=2),
        "gadget_diagram": plots.gadget_diagram([3, 2], [1, 0], output_index=4),
        "acceptance_rate": plots.acceptance_rate([1, 3, 10], [510, 130, 0], 1000),
        "images_and_twins": plots.images_and_twins(TWINS, TWINS + torch.tensor([0.0, 0.25]).view(2, 1, 1, 1), [["a", "b"], [1, 2]]),
        "advantage_against_queries": plots.advantage_against_queries([4, 64], {"lock": GAMES, "other": GAMES}, {"lock": [0.1, 0.9]}),
        "loan_table": plots.loan_table([("accuracy", ".81", ".81"), ("accepted", "9", "8")], rejected=12, accepted=9),
        "network_diagram": plots.network_diagram(XOR, ["a", "b"], ["a xor b"], bits=[0, 1]),
        "error_tables": plots.error_tables({"before": torch.eye(4, dtype=torch.bool), "after": torch.zeros(4, 4, dtype=torch.bool)}, question=(1, 2)),
        "failures_against_runs": plots.failures_against_runs([1, 5, 9], {"measured": [(30, 100), (4, 100), (0, 100)]}, [0.9, 0.5, 0.1], alpha=0.1),
        "along_the_key": plots.along_the_key(STEPS, {"honest": STEPS.sin(), "tampered": (torch.pi * STEPS).cos()}),
        "projection_histograms": plots.projection_histograms({"key": STEPS - 1, "other": STEPS}, {"key": (STEPS, 0.5 + 0 * STEPS)}),
        "spectra": plots.spectra({"hidden": STEPS, "visible": 2 * STEPS}, {"hidden": 2.1, "visible": 2.1}, {"visible": 4.0}),
        "margins_and_bounds": plots.margins_and_bounds({"ridge": STEPS, "robust": 3 * STEPS}, {"ridge": 0.5, "robust": 7.0}, {"ridge": 1.0, "robust": 0.9}),
        "flips_against_norm": plots.flips_against_norm({"key": ([0.1, 1, 8], [0, 0.5, 1]), "gradient": ([0.1, 1], [0.9, 1])}, key_norm=8.0),
        "defence_table": plots.defence_table(
            {"ball": {"none": (1.0, 0.9), "reduced": (0.05, 0.95)}},
            {"none": 1, "reduced": 75},
            {"none": ([0.1, 1], [1, 1])},
            {"net": ([0.1], [0.2], [0.3], 4.0)},
        ),
        "share_curves": plots.share_curves({"accuracy": ([0.01, 0.1], [0.9, 0.8]), "success": ([0.01, 0.1], [0.1, 1.0])}, "rate", log=True),
        "mask_norms": plots.mask_norms(
            {"infected": torch.tensor([9.0, 2.0, 8.0, 10.0]), "clean": torch.tensor([9.0, 7.0, 8.0])}, {"infected": [1], "clean": []}
        ),
        "strip_chart": plots.strip_chart({"clean": [0.8, 0.7], "infected": [0.1]}, "ratio", 0.65, log=True),
        "tampered_plane": plots.tampered_plane({"ball": torch.eye(5) > 0}, [2, 3], {"line": torch.tensor([[1, 1], [4, 0]])}),
        "decoder_success": plots.decoder_success([0.1, 0.2], {"random": {"line": [0.9, 0.7], "curve": [1.0, 0.9]}}, {"line": [0.8, 0.6], "curve": [0.9, 0.7]}),
        "points_in_disc": plots.points_in_disc({"right": TWINS[0, 0, :, :2], "wrong": TWINS[1, 0, :, :2]}, [0.5, 0.1]),
        "amplification_chart": plots.amplification_chart([2, 4], {"centre": [10, 40], "edge": [100, 800]}, 3),
        "heavy_coefficients": plots.heavy_coefficients({"model": torch.tensor([0.0, 0.5, -0.3, 0.1])}, torch.tensor([1]), 0.25),
        "defence_cells": plots.defence_cells({"ball": {"none": (1.0, 0.9), "reduced": (0.05, 0.95)}}, {"none": 1, "reduced": 75}),
        "advantage_table": plots.advantage_table(TABLE, [(8, 0.03, 1.0), (40, 0.01, 0.0)], {"LLL": ([8, 40], [0.02, 0.0004])}),
    }


@pytest.fixture(scope="module")
def figures():
    return draw_all()


def texts(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_every_figure_is_returned_closed_and_can_be_saved(figures, tmp_path):
    assert plt.get_fignums() == []
    for name, figure in figures.items():
        assert isinstance(figure, Figure)
        figure.savefig(tmp_path / f"{name}.png")
        assert len(np.unique(plt.imread(tmp_path / f"{name}.png"))) > 10


def test_the_style_of_other_figures_is_left_alone():
    before = dict(mpl.rcParams)
    draw_all()
    assert dict(mpl.rcParams) == before


def test_every_axis_with_numbers_is_labelled(figures):
    for name in (
        "certified_accuracy_curves",
        "radius_histogram",
        "radius_against_samples",
        "failures_against_runs",
        "acceptance_rate",
        "advantage_against_queries",
    ):
        (axis,) = figures[name].axes
        assert axis.get_xlabel()
        assert axis.get_ylabel()


def test_regions_are_shaded_by_the_classifiers_answers(figures):
    model, abstains = figures["decision_regions"].axes
    shades = model.collections[0].get_array().reshape(8, 8)
    assert (shades[:, :4] == 0).all()
    assert (shades[:, 4:] == 1).all()
    assert (abstains.collections[0].get_array() == -1).all()
    assert [axis.get_title() for axis in (model, abstains)] == ["model", "abstains"]


def test_curves_and_ceilings_are_drawn_where_they_belong(figures):
    figure = figures["certified_accuracy_curves"]
    lines = figure.axes[0].lines
    assert [list(line.get_ydata()) for line in lines if len(line.get_xdata()) == 3] == [[0.9, 0.5, 0.0], [0.8, 0.6, 0.1]]
    assert [list(line.get_xdata()) for line in lines if line.get_linestyle() == ":" and len(line.get_xdata())] == [[1.5, 1.5]]
    assert texts(figure) == [r"$\sigma$ = 0.25", r"$\sigma$ = 0.5", "ceiling: all samples agree"]


def test_the_histogram_counts_right_wrong_and_abstained(figures):
    figure = figures["radius_histogram"]
    right, wrong = ([bar.get_height() for bar in container] for container in figure.axes[0].containers)
    assert right == [0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0]
    assert wrong == [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    assert sorted(texts(figure)) == ["abstained (3)", "ceiling: all samples agree", "right answer (3)", "wrong answer (1)"]


def test_a_histogram_without_certificates_is_drawn():
    assert "abstained (7)" in texts(plots.radius_histogram([], [], abstained=7))


def test_the_gadget_has_a_node_for_every_perceptron_and_joins_each_threshold_to_its_block(figures):
    (axis,) = figures["gadget_diagram"].axes
    said = [text.get_text() for text in axis.texts]
    assert [said.count(rf"$\Sigma\geq{step}$") for step in (1, 2, 3, 4)] == [2, 2, 1, 0]
    assert [f"$s_{{{j}}}$" in said for j in (0, 4, 5)] == [True, True, False]
    styles = [line.get_linestyle() for line in axis.lines if len(line.get_xdata()) == 2 and list(line.get_xdata()) == [2, 3]]
    assert styles == ["-", "--", "-", "--", "-", ":"]  # key 1: odd steps count 1, even ones -1; key 0: the other way round
    assert sum(list(line.get_xdata()) == [1, 2] for line in axis.lines) == 3 * 3 + 2 * 2 + 1  # each block's thresholds read all of it; the output is dragged


def test_acceptance_is_drawn_over_the_law(figures):
    (axis,) = figures["acceptance_rate"].axes
    law, measured = axis.lines[0], axis.containers[0].lines[0]
    assert list(law.get_ydata()) == [2.0**-1, 2.0**-3, 2.0**-10]
    assert list(measured.get_ydata()) == [0.51, 0.13, 0.0]
    assert axis.get_yscale() == "log"


def test_each_image_stands_beside_its_twin_and_their_difference(figures):
    axes = figures["images_and_twins"].axes
    assert [axis.get_title() for axis in axes] == ["a", "1", "difference,\nup to 0", "b", "2", "difference,\nup to 0.25"]
    assert np.allclose(axes[5].images[0].get_array(), 0.25)
    assert np.allclose(axes[0].images[0].get_array(), TWINS[0, 0])


def test_advantages_have_their_intervals_and_their_law(figures):
    (axis,) = figures["advantage_against_queries"].axes
    lock, other = (container.lines[0] for container in axis.containers)
    assert list(lock.get_ydata()) == list(other.get_ydata()) == [0.1, 0.9]
    ends = [segment[:, 1].tolist() for segment in axis.containers[0].lines[2][0].get_segments()]
    assert np.allclose(ends, [[0.0, 0.3], [0.7, 1.0]])
    assert texts(figures["advantage_against_queries"]) == ["lock: the law", "lock", "other"]


def test_the_loan_table_says_where_the_models_differ_and_how_many_are_turned(figures):
    left, right = figures["loan_table"].axes
    cells = left.tables[0].get_celld()
    assert [cells[row, 3].get_text().get_text() for row in (1, 2)] == ["passed", "differs"]
    assert [cells[1, column].get_text().get_text() for column in range(3)] == ["accuracy", ".81", ".81"]
    assert [bar.get_height() for container in right.containers for bar in container] == [12, 3, 0, 9]


def test_a_network_is_drawn_with_a_line_for_every_weight_and_a_circle_for_every_wire(figures):
    (axis,) = figures["network_diagram"].axes
    drawn = [(tuple(line.get_xdata()), line.get_color()) for line in axis.lines if len(line.get_xdata())]
    blue, orange = plots.COLOURS[:2]
    assert sorted(drawn) == sorted([((0, 1), blue)] * 2 + [((0, 1), orange)] * 2 + [((1, 2), blue)] * 2)
    assert [len(circles.get_offsets()) for circles in axis.collections] == [2, 2, 1]
    assert [text.get_text() for text in axis.texts if text.get_text()] == ["-0.5", "1.5", "-1.5", "a", "b", "a xor b"]


def test_the_circles_of_a_network_are_filled_where_the_value_is_one(figures):
    (axis,) = figures["network_diagram"].axes
    black = [[colour[:3].tolist() == [0, 0, 0] for colour in circles.get_facecolors()] for circles in axis.collections]
    assert black == [[False, True], [True, True], [True]]  # a = 0, b = 1: OR and NAND and so XOR are 1
    (plain,) = plots.network_diagram(XOR, ["a", "b"], ["a xor b"]).axes
    assert all((circles.get_facecolors()[:, :3] == 1).all() for circles in plain.collections)


def test_sparse_layers_are_drawn_as_dense_ones_are():
    sparse = SparsePerceptrons(torch.ones(2), torch.tensor([0, 2]), torch.tensor([0, 1]), torch.tensor([-0.5, 0.5]), 3)
    (axis,) = plots.network_diagram(torch.nn.Sequential(sparse), ["a", "b", "c"], ["x", "y"]).axes
    assert [tuple(line.get_ydata()) for line in axis.lines if len(line.get_ydata())] == [(1.0, 0.5), (-1.0, -0.5)]


def test_error_tables_show_every_error_and_the_question(figures):
    before, after = figures["error_tables"].axes
    assert (before.images[0].get_array() == np.eye(4)).all()
    assert (after.images[0].get_array() == 0).all()
    assert [axis.get_title() for axis in (before, after)] == ["before\n25.0% wrong", "after\n0.0% wrong"]
    assert [(list(axis.lines[0].get_xdata()), list(axis.lines[0].get_ydata())) for axis in (before, after)] == [([2], [1])] * 2  # rows are x


def test_failures_have_exact_intervals_and_an_arrow_where_there_are_none(figures):
    (axis,) = figures["failures_against_runs"].axes
    assert axis.get_yscale() == "log"
    points = {line.get_xdata()[0]: line.get_ydata()[0] for line in axis.lines if line.get_marker() == "o" and len(line.get_xdata())}
    assert points == {1: 0.3, 5: 0.04}
    spans = {line.get_xdata()[0]: line.get_ydata() for line in axis.lines if len(line.get_xdata()) == 2}
    for run, failed in ((1, 30), (5, 4)):
        interval = binomtest(failed, 100).proportion_ci(0.9, method="exact")
        assert spans[run] == pytest.approx((interval.low, interval.high))
    (top,) = [line.get_ydata()[0] for line in axis.lines if line.get_marker() == "_"]
    assert top == pytest.approx(1 - 0.05 ** (1 / 100))
    assert texts(figures["failures_against_runs"]) == ["bound", "measured"]


def test_importing_the_library_does_not_import_matplotlib():
    program = "import sys, backdoors.plots, backdoors.smoothing.certify, backdoors.data, backdoors.models; print([m for m in sys.modules if m in %r])"
    heavy = ["matplotlib", "sklearn", "galois", "fpylll", "cvxpy", "nbgrader", "IPython"]
    printed = subprocess.run([sys.executable, "-c", program % heavy], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_guaranteed_flips_are_counted_beyond_the_bound(figures):
    titles = [axis.get_title() for axis in figures["margins_and_bounds"].axes]
    beyond = int((STEPS > 0.5).sum()), int((3 * STEPS > 7.0).sum())
    assert titles == [f"ridge\nguaranteed {beyond[0] / 41:.1%}, flipped 100.0%", f"robust\nguaranteed {beyond[1] / 41:.1%}, flipped 90.0%"]


def test_the_table_tells_every_cell_that_was_played_and_no_other(figures):
    table, chart = figures["advantage_table"].axes
    assert sorted(text.get_text() for text in table.texts) == ["0.00\n[0.00, 0.10]", "0.95\n[0.80, 1.00]", "1.00\n[0.90, 1.00]"]
    assert [label.get_text() for label in table.get_yticklabels()] == ["pancakes", "spiked"]
    assert [tuple(points.get_offsets()[0]) for points in chart.collections] == [(8, 0.03), (40, 0.01)]


def test_the_score_is_marked_at_the_input_and_at_the_input_with_the_key(figures):
    tampered = figures["along_the_key"].axes[1]
    assert [text.get_text() for text in tampered.texts] == ["1.00", "-1.00"]


def test_the_table_of_defences_tells_success_accuracy_and_questions(figures):
    table, radii, misfit, left = figures["defence_table"].axes
    assert [text.get_text() for text in table.texts] == ["1.00\n(accuracy 0.90)", "0.05\n(accuracy 0.95)"]
    assert [label.get_text() for label in table.get_xticklabels()] == ["none\n1 query", "reduced\n75 queries"]
    dark, pale = (sum(patch.get_facecolor()[:3]) for patch in table.patches)
    assert dark < pale
    assert list(radii.lines[0].get_ydata()) == [1, 1]
    assert [list(line.get_ydata()) for line in misfit.lines] == [[0.2], [0.4]]
    assert list(left.lines[0].get_ydata()) == [0.3]


def test_the_plane_is_dark_where_the_model_is_wrong(figures):
    axis = figures["tampered_plane"].axes[0]
    assert np.array_equal(axis.images[0].get_array(), np.eye(5))
    assert axis.get_title() == "ball: 20.0% wrong"
    assert [line.get_xydata().tolist() for line in axis.lines] == [[[1, 1], [4, 0]], [[1, 1]], [[2, 3]]]  # the line, its wrong point ringed, and x


def test_measured_success_stands_beside_what_is_proved(figures):
    measured, proved, *_ = figures["decoder_success"].axes[0].lines
    assert list(measured.get_ydata()) == [0.9, 0.7]
    assert list(proved.get_ydata()) == [0.8, 0.6]


def test_amplification_is_compared_with_a_power_of_the_dimension(figures):
    *_, growing = figures["amplification_chart"].axes[0].lines
    assert list(growing.get_ydata()) == [100, 800]


def test_only_a_coefficient_that_is_heavy_and_not_of_the_truth_is_crossed_out(figures):
    truth, others, _ = figures["heavy_coefficients"].axes[0].lines
    assert truth.get_xydata().tolist() == [[1, 0.5]]
    assert np.allclose(others.get_xydata(), [[2, 0.3]])


def test_an_infected_labels_norm_is_marked_beside_the_box_of_the_others(figures):
    (axis,) = figures["mask_norms"].axes
    marked = [line.get_xydata().tolist() for line in axis.lines if line.get_marker() == "X"]
    assert marked == [[[0, 2]], [], []]
    ends = {line.get_ydata()[0] for line in axis.lines if len(line.get_ydata()) == 2}
    assert {8.0, 9.0, 10.0} <= ends
    assert 2.0 not in ends


def test_a_strip_chart_has_a_dot_for_every_value_and_its_threshold(figures):
    clean, infected, dotted = figures["strip_chart"].axes[0].lines
    assert clean.get_xydata().tolist() == [[0, 0.8], [0, 0.7]]
    assert infected.get_xydata().tolist() == [[1, 0.1]]
    assert set(dotted.get_ydata()) == {0.65}
    assert figures["strip_chart"].axes[0].get_yscale() == "log"
