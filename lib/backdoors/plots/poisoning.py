"""Figures of poisoned models: success and accuracy as curves, and the triggers that are too small."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from backdoors.plots.house import COLOURS, in_house_style, panels


@in_house_style
def share_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], xlabel: str, ylabel: str = "share", log: bool = False
) -> "matplotlib.figure.Figure":  # noqa: F821
    """Shares between 0 and 1 against anything, {name: (places, shares)}; `log` for a logarithmic axis of places."""
    figure, (axis,) = panels(1, width=6.8, height=3.2)
    for (name, (places, shares)), colour, mark in zip(curves.items(), COLOURS, "osD^v", strict=False):
        axis.plot(places, shares, marker=mark, markersize=4, color=colour, label=name)
    axis.set(xlabel=xlabel, ylabel=ylabel, ylim=(-0.03, 1.03), xscale="log" if log else "linear")
    figure.legend(loc="outside right upper")
    return figure


@in_house_style
def mask_norms(norms: Mapping[str, Tensor], infected: Mapping[str, Sequence[int]]) -> "matplotlib.figure.Figure":  # noqa: F821
    """For each model the norms (L,) of the triggers found for its labels: a box for the labels that are not infected, marks for those that are."""
    figure, (axis,) = panels(1, width=0.42 * len(norms) + 1.8, height=3.4)
    for place, (name, values) in enumerate(norms.items()):
        others = [float(value) for label, value in enumerate(values) if label not in infected[name]]
        axis.boxplot([others], positions=[place], widths=0.6, whis=(0, 100), medianprops={"color": COLOURS[0]})
        axis.plot([place] * len(infected[name]), [float(values[label]) for label in infected[name]], "X", color=COLOURS[3], markersize=8)
    axis.plot([], [], "X", color=COLOURS[3], markersize=8, label="infected label")
    axis.set_xticks(range(len(norms)), list(norms), rotation=60, ha="right", fontsize=8)
    axis.set(ylabel="norm of the smallest mask found", ylim=(0, None))
    axis.legend(fontsize=8)
    return figure


@in_house_style
def strip_chart(groups: Mapping[str, Sequence[float]], ylabel: str, threshold: float, log: bool = False) -> "matplotlib.figure.Figure":  # noqa: F821
    """A dot for each value of each group, and a dotted threshold: one figure of each of many models, by their kind."""
    figure, (axis,) = panels(1, width=0.5 * len(groups) + 2.2, height=3.4)
    for place, (name, values) in enumerate(groups.items()):
        axis.plot([place] * len(values), list(values), "o", color=COLOURS[0 if name.startswith("clean") else 3], markersize=5, alpha=0.6)
    axis.axhline(threshold, color="black", linestyle=":", linewidth=1.4)
    axis.set_xticks(range(len(groups)), list(groups), rotation=45, ha="right", fontsize=8)
    axis.set(ylabel=ylabel, yscale="log" if log else "linear")
    if not log:
        axis.set_ylim(bottom=min(0, axis.get_ylim()[0]))
    return figure
