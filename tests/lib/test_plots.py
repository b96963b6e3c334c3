import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from backdoors import plots
from matplotlib.figure import Figure

POINTS = torch.tensor([[0.0, 0.0], [0.2, 1.0], [1.0, 0.1], [0.9, 1.0]])
LABELS = torch.tensor([0, 0, 1, 1])


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
    for name in ("certified_accuracy_curves", "radius_histogram", "radius_against_samples"):
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


def test_importing_the_library_does_not_import_matplotlib():
    program = "import sys, backdoors.plots, backdoors.smoothing.certify, backdoors.data, backdoors.models; print([m for m in sys.modules if m in %r])"
    heavy = ["matplotlib", "sklearn", "galois", "fpylll", "cvxpy", "nbgrader", "IPython"]
    printed = subprocess.run([sys.executable, "-c", program % heavy], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
