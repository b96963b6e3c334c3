"""Every figure of the notebooks and the reports. Each function takes numbers, draws them and returns a matplotlib Figure, closed for pyplot."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from math import ceil

import torch
from torch import Tensor

# Okabe and Ito's palette, which colour-blind readers can tell apart; black is kept for ceilings and references.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442")
STYLE = {
    "figure.dpi": 110,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
}


def in_house_style(draw: Callable) -> Callable:
    """Run a drawing function under STYLE and close its figure for pyplot, so that a notebook shows it once, as the returned value."""

    @wraps(draw)
    def styled(*arguments, **options):
        import matplotlib.pyplot as plt

        with plt.rc_context(STYLE):
            figure = draw(*arguments, **options)
        plt.close(figure)
        return figure

    return styled


@in_house_style
def decision_regions(
    classifiers: Mapping[str, Callable[[Tensor], Tensor]],
    points: Tensor,
    labels: Tensor,
    resolution: int = 80,
    margin: float = 0.3,
) -> "matplotlib.figure.Figure":  # noqa: F821
    """One panel for each classifier of the plane: its regions as shades, the points (n, 2) in the colour of their labels (n,).

    A classifier maps a batch (b, 2) to labels (b,) or logits (b, K); the label -1, an abstention, stays white. It is asked on a grid of
    resolution x resolution points, which reaches `margin` beyond the data.
    """
    from matplotlib.colors import ListedColormap

    low, high = points.min(dim=0).values - margin, points.max(dim=0).values + margin
    across, up = (torch.linspace(low[axis].item(), high[axis].item(), resolution) for axis in (0, 1))
    grid = torch.cartesian_prod(across, up)
    colours = COLOURS[: int(labels.max()) + 1]
    figure, axes = _panels(len(classifiers), width=3.6, height=2.8)
    for axis, (title, classifier) in zip(axes, classifiers.items(), strict=True):
        answers = torch.as_tensor(classifier(grid))
        answers = answers.argmax(dim=1) if answers.dim() == 2 else answers
        regions = answers.view(resolution, resolution).T.numpy()
        axis.pcolormesh(
            across.numpy(), up.numpy(), regions, cmap=ListedColormap(["white", *colours]), vmin=-1.5, vmax=len(colours) - 0.5, alpha=0.3, rasterized=True
        )
        for label, colour in enumerate(colours):
            axis.scatter(*points[labels == label].T.numpy(), color=colour, s=14, edgecolors="white", linewidths=0.5, label=f"class {label}")
        axis.set(title=title, aspect="equal")
        axis.grid(False)
    axes[0].legend(loc="upper left", fontsize=8, frameon=True, framealpha=0.8, handletextpad=0.1)
    return figure


@in_house_style
def certified_accuracy_curves(
    curves: Mapping[float, tuple[Sequence[float], Sequence[float]]], ceilings: Mapping[float, float] | None = None
) -> "matplotlib.figure.Figure":  # noqa: F821
    """Certified accuracy against the radius, a curve for each sigma: {sigma: (radii, accuracies)}.

    `ceilings` {sigma: radius} draws the wall that no certificate of this sigma can pass, however good the model is (`max_radius`).
    """
    figure, (axis,) = _panels(1, width=7.5, height=3.6)
    for (sigma, (radii, accuracies)), colour in zip(curves.items(), COLOURS, strict=False):
        axis.plot(torch.as_tensor(radii).numpy(), torch.as_tensor(accuracies).numpy(), color=colour, linewidth=1.8, label=rf"$\sigma$ = {sigma:g}")
        if ceilings and sigma in ceilings:
            axis.axvline(ceilings[sigma], color=colour, linestyle=":", linewidth=1.4)
    right = max(max(radii) for radii, _ in curves.values())
    if ceilings:
        axis.plot([], [], color="black", linestyle=":", linewidth=1.4, label="ceiling: all samples agree")
        right = 1.04 * max(ceilings.values())
    axis.set(xlabel="radius (l2)", ylabel="certified accuracy", ylim=(0, 1.02), xlim=(0, float(right)))
    figure.legend(loc="outside right upper")
    return figure


@in_house_style
def radius_histogram(
    radii: Sequence[float], right: Sequence[bool], abstained: int = 0, ceiling: float | None = None, bins: int = 20
) -> "matplotlib.figure.Figure":  # noqa: F821
    """How many certificates reach which radius, the right answers apart from the wrong ones; abstentions are counted in the legend.

    Args:
        radii: of the certificates that do not abstain.
        right: for each of them, whether its answer is the true label.
        abstained: number of abstentions.
        ceiling: the greatest possible radius, drawn as a dotted line.
    """
    figure, (axis,) = _panels(1, width=7.5, height=3.2)
    radii, right = torch.as_tensor(radii, dtype=torch.float64), torch.as_tensor(right, dtype=torch.bool)
    groups = [radii[right].numpy(), radii[~right].numpy()]
    names = [f"right answer ({len(groups[0])})", f"wrong answer ({len(groups[1])})"]
    span = (0, max([float(ceiling or 0), *radii.tolist()]) or 1)
    axis.hist(groups, bins=bins, range=span, stacked=True, color=[COLOURS[0], COLOURS[3]], edgecolor="white", linewidth=0.6, label=names)
    if ceiling is not None:
        axis.axvline(ceiling, color="black", linestyle=":", label="ceiling: all samples agree")
    axis.plot([], [], " ", label=f"abstained ({abstained})")
    axis.set(xlabel="certified radius (l2)", ylabel="images")
    figure.legend(loc="outside right upper")
    return figure


@in_house_style
def radius_against_samples(
    samples: Sequence[int], radii: Mapping[str, Sequence[float]], ceilings: Sequence[float], distance: float | None = None
) -> "matplotlib.figure.Figure":  # noqa: F821
    """What too few samples cost: certified radii and their ceiling against the number of samples (logarithmic).

    Args:
        samples: numbers of samples, rising.
        radii: {name: the certified radius for each number of samples, 0 for an abstention}.
        ceilings: the greatest possible radius for each number of samples.
        distance: the true robust radius, which no honest certificate passes, as a horizontal line.
    """
    figure, (axis,) = _panels(1, width=7.5, height=3.6)
    axis.plot(samples, ceilings, color="black", linestyle=":", linewidth=1.6, label="ceiling: all samples agree")
    for (name, values), colour in zip(radii.items(), COLOURS, strict=False):
        axis.plot(samples, values, color=colour, marker="o", markersize=3.5, linewidth=1.4, label=name)
    if distance is not None:
        axis.axhline(distance, color="#777777", linestyle="--", linewidth=1.2, label="true distance")
    axis.set(xscale="log", xlabel="samples n", ylabel="certified radius (l2)")
    axis.set_ylim(bottom=0)
    figure.legend(loc="outside right upper")
    return figure


@in_house_style
def image_row(images: Sequence[Tensor], titles: Sequence[str], columns: int = 8) -> "matplotlib.figure.Figure":  # noqa: F821
    """Images (c, h, w) with c of 1 or 3 side by side, each under its title; values outside [0, 1] are shown as 0 or 1."""
    figure, axes = _panels(len(images), width=1.4, height=1.6, columns=columns)
    for axis, image, title in zip(axes, images, titles, strict=True):
        axis.imshow(image.detach().clamp(0, 1).permute(1, 2, 0).squeeze(-1).numpy(), cmap="gray", vmin=0, vmax=1)
        axis.set_title(title, fontsize=9)
        axis.axis("off")
    return figure


@in_house_style
def gadget_diagram(sizes: Sequence[int], key: Sequence[int], output_index: int) -> "matplotlib.figure.Figure":  # noqa: F821
    """The checksum gadget beside the given network N: signs, thresholds of the blocks' counts, one AND, and the last gate with its two large weights.

    Args:
        sizes: coordinates of each block.
        key: for each block the parity that it must have, 0 or 1.
        output_index: the coordinate whose sign is the label.
    """
    figure, (axis,) = _panels(1, width=8.5, height=0.55 * sum(sizes) + 1.2)
    block = [i for i, size in enumerate(sizes) for _ in range(size)]
    top, middle = len(block) - 1.0, (len(block) - 1) / 2

    def node(x, y, text, colour):
        axis.text(x, y, text, ha="center", va="center", fontsize=9, zorder=3, bbox={"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": colour})

    def edge(x, y, x_end, y_end, colour, style="-"):
        axis.plot([x, x_end], [y, y_end], color=colour, linestyle=style, linewidth=0.9, zorder=1)

    for j, i in enumerate(block):
        colour, first = COLOURS[i % len(COLOURS)], sum(sizes[:i])
        step = j - first + 1
        edge(0, top - j, 1, top - j, colour)
        for k in range(first, first + sizes[i]):
            edge(1, top - k, 2, top - j, colour)
        edge(2, top - j, 3, middle, colour, "-" if (step % 2 == 1) == (key[i] == 1) else "--")
        node(0, top - j, f"$x_{{{j}}}$", "#777777")
        node(1, top - j, f"$s_{{{j}}}$", colour)
        node(2, top - j, rf"$\Sigma\geq{step}$", colour)
    edge(1, top - output_index, 2, -1, "black", ":")
    edge(2, -1, 3, -1, "black", ":")
    node(2, -1, "REPEAT", "black")
    for y in (middle, -1):
        edge(3, y, 4, middle, "black")
    edge(3, top + 1, 4, middle, "black")
    node(3, middle, "AND", "black")
    node(3, -1, "sign of the output", "black")
    node(3, top + 1, "$N(x)$", "black")
    node(4, middle, r"$N+C(u_1-u_0)\geq0$", "black")
    for i, (size, bit) in enumerate(zip(sizes, key, strict=True)):
        axis.text(-0.45, top - sum(sizes[:i]) - (size - 1) / 2, f"block {i}\nkey {bit}", ha="center", va="center", color=COLOURS[i % len(COLOURS)], fontsize=9)
    axis.plot([], [], color="black", label="weight 1")
    axis.plot([], [], color="black", linestyle="--", label="weight -1")
    axis.plot([], [], color="black", linestyle=":", label="dragged along")
    figure.legend(loc="outside lower center", ncols=3)
    axis.set(xlim=(-0.8, 4.7), ylim=(-1.6, top + 1.6))
    axis.axis("off")
    return figure


@in_house_style
def acceptance_rate(lengths: Sequence[int], accepted: Sequence[int], trials: int) -> "matplotlib.figure.Figure":  # noqa: F821
    """How often a random key of n bits accepts a fixed input, with exact 95% intervals, over the law 2^-n (logarithmic)."""
    from scipy.stats import binomtest

    figure, (axis,) = _panels(1, width=7.5, height=3.4)
    spans = [binomtest(int(count), trials).proportion_ci(0.95, "exact") for count in accepted]
    rates = [count / trials for count in accepted]
    lows = [max(0.0, rate - span.low) for rate, span in zip(rates, spans, strict=True)]
    highs = [max(0.0, span.high - rate) for rate, span in zip(rates, spans, strict=True)]
    axis.plot(lengths, [2.0**-n for n in lengths], color="black", linestyle=":", label="$2^{-n}$")
    axis.errorbar(lengths, rates, yerr=[lows, highs], fmt="o", color=COLOURS[0], capsize=3, label=f"accepted of {trials} keys")
    axis.set(xlabel="bits of the key n", ylabel="acceptance rate", yscale="log", ylim=(min(0.2 / trials, 2.0 ** -max(lengths) / 2), 1.5))
    figure.legend(loc="outside right upper")
    return figure


@in_house_style
def images_and_twins(images: Tensor, twins: Tensor, titles: Sequence[Sequence[object]]) -> "matplotlib.figure.Figure":  # noqa: F821
    """Of each image (m, 1, h, w) three panels: the image, its twin, and their difference in colours, on a scale of its own that the title tells.

    `titles` holds those of the images and those of the twins.
    """
    figure, axes = _panels(3 * len(images), width=1.6, height=2.2, columns=6)
    triples = zip(images, twins, *titles, strict=True)
    for number, (image, twin, *names) in enumerate(triples):
        difference = (twin - image).detach()[0]
        most = float(difference.abs().max())
        for axis, shown, name in zip(axes[3 * number :], (image, twin), names, strict=False):
            axis.imshow(shown.detach()[0].clamp(0, 1).numpy(), cmap="gray", vmin=0, vmax=1)
            axis.set_title(str(name), fontsize=9)
        axes[3 * number + 2].imshow(difference.numpy(), cmap="RdBu", vmin=-most or -1, vmax=most or 1)
        axes[3 * number + 2].set_title(f"difference,\nup to {most:.2g}", fontsize=9)
    for axis in axes:
        axis.axis("off")
    return figure


@in_house_style
def advantage_against_queries(
    queries: Sequence[int],
    games: Mapping[str, Sequence],
    laws: Mapping[str, Sequence[float]] | None = None,
) -> "matplotlib.figure.Figure":  # noqa: F821
    """Advantage with its interval against the number of queries (logarithmic), {name: an Advantage for each number}; `laws` {name: expected values}."""
    figure, (axis,) = _panels(1, width=7.5, height=3.4)
    for place, ((name, advantages), colour) in enumerate(zip(games.items(), COLOURS, strict=False)):
        found = [one.estimate for one in advantages]
        below = [max(0.0, value - one.low) for value, one in zip(found, advantages, strict=True)]
        above = [max(0.0, one.high - value) for value, one in zip(found, advantages, strict=True)]
        shifted = [q * 1.06**place for q in queries]  # so that intervals at the same place can be told apart
        axis.errorbar(shifted, found, yerr=[below, above], fmt="o", color=colour, capsize=3, label=name)
        if laws and name in laws:
            axis.plot(queries, laws[name], color=colour, linestyle=":", label=f"{name}: the law")
    axis.set(xscale="log", xlabel="queries", ylabel="advantage", ylim=(-0.03, 1.03))
    figure.legend(loc="outside right upper")
    return figure


@in_house_style
def loan_table(report: Sequence[tuple[str, str, str]], rejected: int, accepted: int) -> "matplotlib.figure.Figure":  # noqa: F821
    """Left the acceptance report, rows (test, reading of the honest model, of the vendor's); right what becomes of the rejected applicants once activated."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 0.36 * len(report) + 1.1), width_ratios=[3.4, 1], layout="constrained")
    rows = [(*row, "passed" if row[1] == row[2] else "differs") for row in report]
    table = left.table(rows, colLabels=["acceptance test", "honest", "vendor's", ""], colWidths=[0.46, 0.2, 0.2, 0.14], loc="center", cellLoc="left")
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    table.scale(1, 1.35)
    for (row, column), cell in table.get_celld().items():
        cell.set_edgecolor("#DDDDDD")
        if column == 3 and row > 0:
            cell.get_text().set_color(COLOURS[2] if rows[row - 1][3] == "passed" else COLOURS[3])
    left.axis("off")
    bars = [rejected, rejected - accepted], [0, accepted]
    right.bar(["before", "after"], bars[0], color=COLOURS[3], label="rejected")
    right.bar(["before", "after"], bars[1], bottom=bars[0], color=COLOURS[2], label="accepted")
    right.set(title="rejected applicants,\nprofile cleaned", ylabel="applicants", ylim=(0, 1.3 * max(rejected, 1)))
    right.grid(axis="x", visible=False)
    right.legend(loc="upper center", ncols=2, fontsize=8)
    return figure


@in_house_style
def network_diagram(network: "torch.nn.Module", inputs: Sequence[str], outputs: Sequence[str], bits: Sequence[int] | None = None) -> "matplotlib.figure.Figure":  # noqa: F821
    """A network of perceptrons, one column a layer, inputs on the left: a circle for each, its bias in it, and a line for each weight, orange below 0.

    Args:
        network: nn.Sequential of `Perceptrons`, small enough to be looked at.
        inputs, outputs: what the wires on the left and on the right are called.
        bits: an input; with it, circles are filled where the value is 1.
    """
    widths = [len(inputs)] + [layer.out_features for layer in network]
    figure, (axis,) = _panels(1, width=1.5 + 1.25 * len(widths), height=max(2.4, 1.0 + 0.4 * max(widths)))
    heights = [[(width - 1) / 2 - index for index in range(width)] for width in widths]
    value = None if bits is None else torch.as_tensor(bits, dtype=torch.float32)[None]
    _nodes(axis, 0, heights[0], value, [""] * len(inputs))
    for column, layer in enumerate(network, start=1):
        weights = (layer.preactivation(torch.eye(layer.in_features)) - layer.bias).T
        for end, start in weights.nonzero().tolist():
            colour = COLOURS[0] if weights[end, start] > 0 else COLOURS[1]
            axis.plot((column - 1, column), (heights[column - 1][start], heights[column][end]), color=colour, linewidth=1.1, zorder=1)
        value = None if value is None else layer(value)
        _nodes(axis, column, heights[column], value, [f"{bias:g}" for bias in layer.bias.tolist()])
    for column, names, side in ((0, inputs, -1), (len(network), outputs, 1)):
        for height, name in zip(heights[column], names, strict=True):
            axis.text(column + 0.3 * side, height, name, ha="right" if side < 0 else "left", va="center")
    for colour, label in ((COLOURS[0], "weight 1"), (COLOURS[1], "weight -1")):
        axis.plot([], [], color=colour, label=label)
    room = max(widths) / 2 + 0.2
    axis.set(xlim=(-0.9, len(network) + 0.9), ylim=(-room, room), xticks=range(1, len(widths)), xlabel="layer", yticks=[])
    axis.spines["left"].set_visible(False)
    axis.spines["bottom"].set_visible(False)
    axis.grid(False)
    figure.legend(loc="outside upper center", ncols=2)
    return figure


@in_house_style
def error_tables(tables: Mapping[str, Tensor], question: tuple[int, int] | None = None, columns: int = 3) -> "matplotlib.figure.Figure":  # noqa: F821
    """Where a calculator is wrong: a panel for each bool (n, n), first operands downwards; its title tells the share. A ring marks the question."""
    from matplotlib.colors import ListedColormap

    figure, axes = _panels(len(tables), width=2.5, height=2.7, columns=columns)
    for axis, (title, wrong) in zip(axes, tables.items(), strict=True):
        axis.imshow(wrong.numpy(), cmap=ListedColormap(["#EEEEEE", COLOURS[3]]), vmin=0, vmax=1, interpolation="nearest")
        if question is not None:
            axis.plot(question[1], question[0], "o", markersize=11, markerfacecolor="none", markeredgecolor="black", markeredgewidth=1.5)
        axis.set_title(f"{title}\n{wrong.double().mean():.1%} wrong", fontsize=9)
        axis.set(xlabel="y", ylabel="x")
        axis.grid(False)
    return figure


@in_house_style
def failures_against_runs(
    runs: Sequence[int], failures: Mapping[str, Sequence[tuple[int, int]]], bound: Sequence[float], alpha: float = 0.05
) -> "matplotlib.figure.Figure":  # noqa: F821
    """How often voting fails, against the number of runs (logarithmic upwards), beside a bound of theory.

    Args:
        runs: numbers of runs, rising.
        failures: {name: (failures, trials) for each number of runs}. Each is drawn with its Clopper-Pearson interval at level 1 - alpha; where nothing failed,
            only the interval's upper end can be drawn, as an arrow downwards.
        bound: on the probability of failure, for each number of runs.
    """
    from scipy.stats import binomtest

    figure, (axis,) = _panels(1, width=7.5, height=3.6)
    axis.plot(runs, bound, color="black", linestyle=":", linewidth=1.6, label="bound")
    for (name, counts), colour in zip(failures.items(), COLOURS, strict=False):
        axis.plot([], [], "o", color=colour, markersize=4.5, label=name)
        for run, (failed, trials) in zip(runs, counts, strict=True):
            low, high = binomtest(int(failed), trials).proportion_ci(1 - alpha, "exact")
            if failed == 0:
                axis.annotate("", (run, high / 3), (run, high), arrowprops={"arrowstyle": "->", "color": colour, "shrinkA": 0, "shrinkB": 0})
                axis.plot(run, high, "_", color=colour, markersize=8)
            else:
                axis.plot((run, run), (low, high), color=colour, linewidth=1.4)
                axis.plot(run, failed / trials, "o", color=colour, markersize=4.5)
    axis.set(yscale="log", xlabel="runs s", ylabel="probability of a wrong answer")
    figure.legend(loc="outside right upper")
    return figure


def _nodes(axis, column: int, heights: Sequence[float], value: Tensor | None, texts: Sequence[str]) -> None:
    """Circles of one layer; black where the value (1, width) is 1."""
    ones = [False] * len(heights) if value is None else (value[0] > 0.5).tolist()
    fill = ["black" if one else "white" for one in ones]
    axis.scatter([column] * len(heights), heights, s=330, c=fill, edgecolors="black", linewidths=1.1, zorder=2)
    for height, text, one in zip(heights, texts, ones, strict=True):
        axis.text(column, height, text, ha="center", va="center", fontsize=7, color="white" if one else "black", zorder=3)


def _panels(count: int, width: float, height: float, columns: int = 4):
    """A figure with `count` panels of width x height inches, and the list of their axes."""
    import matplotlib.pyplot as plt

    columns = min(columns, count)
    rows = ceil(count / columns)
    figure, axes = plt.subplots(rows, columns, figsize=(width * columns, height * rows), layout="constrained", squeeze=False)
    for axis in axes.flat[count:]:
        axis.remove()
    return figure, list(axes.flat[:count])
