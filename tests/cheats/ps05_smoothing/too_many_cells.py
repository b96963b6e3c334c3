# Ten thousand cells, every one of which claims to be a solution.
# levels: 3 2
# edit: notebook
import nbformat


def edit(notebook):
    solution = next(cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("solution") and cell.cell_type == "code")
    for number in range(10_000):
        cell = nbformat.from_dict(
            {**solution, "source": f"x{number} = {number}", "metadata": {"nbgrader": {**solution.metadata.nbgrader, "grade_id": f"g{number}"}}}
        )
        notebook.cells.append(cell)
