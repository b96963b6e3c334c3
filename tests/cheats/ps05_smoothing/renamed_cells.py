# The first exercise is solved; its cell claims to be every other exercise, and the locked cells are deleted.
# levels: 3 2
# edit: notebook
# grade: lower_confidence_bound
import nbformat


def edit(notebook):
    from autograder import trials

    solved = next(cell for cell in trials.solved("ps05_smoothing").cells if cell.metadata.get("nbgrader", {}).get("grade_id") == "lower_confidence_bound")
    names = [cell.metadata.nbgrader.grade_id for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("solution") and cell.cell_type == "code"]
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "code" and not cell.metadata.get("nbgrader")]
    for name in names:
        cell = nbformat.from_dict(solved)
        cell.metadata.nbgrader.grade_id = name
        cell.id = name.replace("_", "-")
        notebook.cells.append(cell)
