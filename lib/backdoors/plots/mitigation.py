"""Figures of answers from tampered models: where they lie, what is asked instead, and what a defence leaves of an attack."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from backdoors.plots.house import COLOURS, in_house_style, panels


@in_house_style
def tampered_plane(wrong: Mapping[str, Tensor], x: Sequence[int], lines: Mapping[str, Tensor]) -> "matplotlib.figure.Figure":  # noqa: F821
    """A panel for each model of points of a finite plane: dark where it is wrong, a star at x, and the points (k, 2) of lines, ringed if wrong.

    Args:
        wrong: {model: bool (q, q)}, at [first coordinate, second].
    """
    figure, axes = panels(len(wrong), width=3.5, height=3.9, columns=3)
    for axis, (name, region) in zip(axes, wrong.items(), strict=True):
        axis.imshow(region.double().T.numpy(), origin="lower", cmap="Greys", vmin=0, vmax=1.6, interpolation="nearest")
        for (label, points), colour, mark in zip(lines.items(), COLOURS, "osD^v", strict=False):
            axis.plot(*points.T.numpy(), mark, color=colour, markersize=5, label=label)
            axis.plot(*points[region[points[:, 0], points[:, 1]]].T.numpy(), "o", markersize=11, markerfacecolor="none", markeredgecolor=COLOURS[3])
        axis.plot(*x, "*", color=COLOURS[3], markersize=13, markeredgecolor="black", label="x")
        axis.set(title=f"{name}: {region.double().mean():.1%} wrong", xlabel="first coordinate")
        axis.title.set_fontsize(9)
        axis.grid(False)
    axes[0].set_ylabel("second coordinate")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    return figure


@in_house_style
def decoder_success(
    deltas: Sequence[float], measured: Mapping[str, Mapping[str, Sequence[float]]], bounds: Mapping[str, Sequence[float]]
) -> "matplotlib.figure.Figure":  # noqa: F821
    """A panel for each way to place errors: share of right answers of each decoder against the fraction of wrong points; lines are what is proved.

    Args:
        measured: {panel: {decoder: shares}}.
        bounds: {decoder: probabilities}.
    """
    figure, axes = panels(len(measured), width=3.7, height=3.3, columns=3)
    for axis, (title, decoders) in zip(axes, measured.items(), strict=True):
        for (name, shares), colour, mark in zip(decoders.items(), COLOURS, "osD^v", strict=False):
            axis.plot(deltas, shares, mark, color=colour, markersize=5, label=name)
            axis.plot(deltas, bounds[name], "--", color=colour, linewidth=1.2)
        axis.set(title=title, xlabel=r"fraction $\delta$ of wrong points", ylim=(-0.03, 1.03))
    axes[0].set_ylabel("right answers (dashed: proved)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    return figure


@in_house_style
def points_in_disc(samples: Mapping[str, Tensor], x: Sequence[float]) -> "matplotlib.figure.Figure":  # noqa: F821
    """A panel for each sampler: points (N, 2) in the unit disc, and x, through which all of their lines go."""
    import matplotlib.pyplot as plt

    figure, axes = panels(len(samples), width=3.4, height=3.7, columns=3)
    for axis, (name, points), colour in zip(axes, samples.items(), COLOURS, strict=False):
        axis.plot(*points.T.numpy(), ".", color=colour, markersize=1.2)
        axis.add_patch(plt.Circle((0, 0), 1, fill=False, linewidth=0.8))
        axis.plot(*x, "*", color=COLOURS[3], markersize=12, markeredgecolor="black")
        axis.set(title=name, xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), aspect="equal", xlabel="first coordinate")
        axis.grid(False)
    axes[0].set_ylabel("second coordinate")
    return figure


@in_house_style
def amplification_chart(dimensions: Sequence[int], places: Mapping[str, Sequence[float]], degree: int) -> "matplotlib.figure.Figure":  # noqa: F821
    r"""The median amplification $\Lambda$ of a line against the dimension, {place of x: amplifications}; dotted $n^d$, from the last place's first."""
    figure, (axis,) = panels(1, width=6.6, height=3.4)
    for (place, values), colour, mark in zip(places.items(), COLOURS, "osD^v", strict=False):
        axis.plot(dimensions, values, marker=mark, markersize=4, color=colour, label=place)
    start = list(places.values())[-1][0]
    axis.plot(dimensions, [start * (n / dimensions[0]) ** degree for n in dimensions], ":", color="black", label=f"growing as $n^{degree}$")
    axis.set(xscale="log", yscale="log", xlabel="dimension n", ylabel=r"amplification $\Lambda$ (median)")
    axis.set_xticks(dimensions, [str(n) for n in dimensions])
    axis.minorticks_off()
    figure.legend(loc="outside right upper")
    return figure


@in_house_style
def heavy_coefficients(spectra: Mapping[str, Tensor], support: Tensor, threshold: float) -> "matplotlib.figure.Figure":  # noqa: F821
    """A panel for each model's Fourier coefficients (2^n,), by number: those of the truth (`support`, numbers) are marked, dotted the threshold."""
    figure, axes = panels(len(spectra), width=3.7, height=2.9, columns=3)
    shown = max(int((values.abs() >= threshold).nonzero().max()) for values in spectra.values())
    for axis, (name, values) in zip(axes, spectra.items(), strict=True):
        size = values.abs().numpy()
        axis.vlines(range(len(size)), 0, size, color=COLOURS[0], linewidth=0.8)
        heavy = [k for k in range(len(size)) if size[k] >= threshold and k not in support.tolist()]
        axis.plot(support.tolist(), size[support.numpy()], "o", color=COLOURS[2], markersize=5, label="of the truth")
        axis.plot(heavy, size[heavy], "X", color=COLOURS[3], markersize=8, label="not in the truth")
        axis.axhline(threshold, color="black", linestyle=":", linewidth=1.4, label="threshold")
        axis.set(title=name, xlabel="set of coordinates, by number", xlim=(-4, 1.3 * shown + 4), ylim=(0, max(0.6, float(size.max()) * 1.1)))
        axis.title.set_fontsize(9)
    axes[0].set_ylabel("magnitude of the coefficient")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    return figure


@in_house_style
def defence_cells(cells: Mapping[str, Mapping[str, tuple[float, float]]], queries: Mapping[str, int]) -> "matplotlib.figure.Figure":  # noqa: F821
    """The table of `defence_table` alone."""
    figure, (axis,) = panels(1, width=max(1.05 * len(queries) + 2.0, 6.0), height=0.55 * len(cells) + 1.4)
    _fill_cells(axis, cells, queries)
    return figure


@in_house_style
def defence_table(
    cells: Mapping[str, Mapping[str, tuple[float, float]]],
    queries: Mapping[str, int],
    radii: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    misfits: Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[float], float]],
) -> "matplotlib.figure.Figure":  # noqa: F821
    r"""What defences leave of attacks: a table; success against the size of a lie; error and success against the misfit of a model that is no polynomial.

    Args:
        cells: {backdoor: {defence: (attack success, accuracy)}}. A cell is dark where the attack succeeds.
        queries: {defence: rows that the model is asked for one answer}.
        radii: {defence: (radii of the ball of lies, attack success)}.
        misfits: {model: (misfits eta, errors after mitigation, attack success, amplification Lambda)}, eta above 0; dotted is Lambda * eta.
    """
    import matplotlib.pyplot as plt

    width, height = 1.05 * len(queries) + 2.0, 0.55 * len(cells) + 1.7
    figure = plt.figure(figsize=(max(width, 9.0), height + 3.4), layout="constrained")
    grid = figure.add_gridspec(2, 3, height_ratios=[height, 3.4])
    table, left, middle, right = (figure.add_subplot(place) for place in (grid[0, :], grid[1, 0], grid[1, 1], grid[1, 2]))
    _fill_cells(table, cells, queries)
    for (name, (sizes, shares)), colour, mark in zip(radii.items(), COLOURS, "osD^v<>", strict=False):
        left.plot(sizes, shares, marker=mark, markersize=4, color=colour, label=name)
    left.set(xscale="log", xlabel="radius of the lies around the record", ylabel="attack success", ylim=(-0.03, 1.03))
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=7)
    for (name, (etas, errors, shares, enlarged)), colour, mark in zip(misfits.items(), COLOURS, "osD^v<>", strict=False):
        middle.plot(etas, errors, mark, markersize=4, color=colour)
        middle.plot(etas, [enlarged * eta for eta in etas], linestyle=":", color=colour)
        right.plot(etas, shares, marker=mark, markersize=4, color=colour, label=rf"{name} ($\Lambda$ = {enlarged:.1f})")
    middle.set(xscale="log", yscale="log", xlabel=r"misfit $\eta$ of the model", ylabel=r"error of mitigated answers (dotted: $\Lambda\eta$)")
    right.set(xscale="log", xlabel=r"misfit $\eta$ of the model", ylabel="attack success after mitigation", ylim=(-0.03, 1.03))
    right.legend(loc="upper left", fontsize=6)
    return figure


def _fill_cells(axis, cells: Mapping[str, Mapping[str, tuple[float, float]]], queries: Mapping[str, int]) -> None:
    import matplotlib.pyplot as plt

    shades = plt.get_cmap("Oranges")
    for row, found in enumerate(cells.values()):
        for name, (success, accuracy) in found.items():
            column, shade = list(queries).index(name), "white" if success > 0.6 else "black"
            axis.add_patch(plt.Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=shades(0.9 * success), edgecolor="white"))
            axis.text(column, row, f"{success:.2f}\n(accuracy {accuracy:.2f})", ha="center", va="center", fontsize=7, color=shade)
    axis.set(xlim=(-0.5, len(queries) - 0.5), ylim=(len(cells) - 0.5, -0.5))
    axis.set_title("share of attacks that succeed (in brackets: accuracy on records that are not attacked)", fontsize=10)
    labels = [f"{name.replace(', ', ',' + chr(10))}\n{count:,} {'query' if count == 1 else 'queries'}" for name, count in queries.items()]
    axis.set_xticks(range(len(queries)), labels, fontsize=7)
    axis.set_yticks(range(len(cells)), list(cells), fontsize=8)
    axis.grid(False)
