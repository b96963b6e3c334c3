# Solved cells dressed as what the grader skips, restores or runs by itself: given, locked, raw, exploration, magic.
# levels: 3 2
# limits: cell_cpu=1
# edit: notebook
import nbformat


def edit(notebook):
    from autograder import trials

    solved = {
        cell.metadata.nbgrader.grade_id: cell.source for cell in trials.solved("ps05_smoothing").cells if cell.metadata.get("nbgrader", {}).get("solution")
    }
    ids = {cell.metadata.nbgrader.grade_id: cell for cell in notebook.cells if cell.metadata.get("nbgrader")}
    explored = next(cell for cell in notebook.cells if "explore" in cell.metadata.get("tags", []))
    dressed = {
        "lower_confidence_bound": nbformat.v4.new_raw_cell(solved["lower_confidence_bound"]),
        "count_votes": nbformat.v4.new_markdown_cell(solved["count_votes"]),
        "certified_radius": nbformat.v4.new_code_cell("%%capture\n" + solved["certified_radius"]),
        "predict": nbformat.v4.new_code_cell("%%python\n" + solved["predict"]),
        "certify": nbformat.v4.new_code_cell("%run solved.py\n%load solved.py\n!curl http://127.0.0.1/solved.py"),
    }
    notebook.cells[1:1] = dressed.values()
    ids["check-worst_halfspace"].update(source=solved["worst_halfspace"])  # a locked cell
    explored.source = explored.source + "\nimport os\nos._exit(0)"
    outputs = [nbformat.v4.new_output("stream", name="stdout", text=solved["fooled_model"])]
    notebook.cells.append(nbformat.v4.new_code_cell("", metadata={"nbgrader": {"grade_id": "fooled_model", "points": 4, "grade": True}}, outputs=outputs))
