"""Every figure of the notebooks and the reports. Each function takes numbers, draws them and returns a matplotlib Figure, closed for pyplot."""

from backdoors.plots.black_box import acceptance_rate, advantage_against_queries, gadget_diagram, loan_table
from backdoors.plots.house import COLOURS, in_house_style
from backdoors.plots.images import image_row, images_and_twins
from backdoors.plots.mitigation import (
    amplification_chart,
    decoder_success,
    defence_cells,
    defence_table,
    heavy_coefficients,
    points_in_disc,
    tampered_plane,
)
from backdoors.plots.poisoning import mask_norms, share_curves, strip_chart
from backdoors.plots.smoothing import certified_accuracy_curves, decision_regions, radius_against_samples, radius_histogram
from backdoors.plots.warm_up import error_tables, failures_against_runs, network_diagram
from backdoors.plots.white_box import advantage_table, along_the_key, flips_against_norm, margins_and_bounds, projection_histograms, spectra

__all__ = [
    "COLOURS",
    "in_house_style",
    "acceptance_rate",
    "advantage_against_queries",
    "advantage_table",
    "along_the_key",
    "amplification_chart",
    "certified_accuracy_curves",
    "decision_regions",
    "decoder_success",
    "defence_cells",
    "defence_table",
    "error_tables",
    "failures_against_runs",
    "flips_against_norm",
    "gadget_diagram",
    "heavy_coefficients",
    "image_row",
    "images_and_twins",
    "loan_table",
    "margins_and_bounds",
    "mask_norms",
    "network_diagram",
    "points_in_disc",
    "projection_histograms",
    "radius_against_samples",
    "radius_histogram",
    "share_curves",
    "spectra",
    "strip_chart",
    "tampered_plane",
]
