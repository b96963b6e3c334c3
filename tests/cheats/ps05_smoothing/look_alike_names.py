# Functions and cells whose names only look like the exercises': other alphabets, direction marks, joiners, a source that reads otherwise than it runs.
# levels: 3 2
# edit: notebook
import nbformat


def edit(notebook):
    from autograder import trials

    for cell in trials.solved("ps05_smoothing").cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if cell.metadata.get("nbgrader", {}).get("solution") and cell.cell_type == "code":
            twin = name.replace("e", "\u0435", 1).replace("o", "\u043e", 1)  # Cyrillic
            source = cell.source.replace(f"def {name}", f"def {twin}")
            for index, shown in enumerate((twin, f"\u202e{name[::-1]}\u202c", f"{name}\u200b", f" {name}", f"{name}\x00")):
                notebook.cells.append(
                    nbformat.v4.new_code_cell(source, id=f"{index}-{name}"[:60].replace("_", "-"), metadata={"nbgrader": {"grade_id": shown, "solution": True}})
                )
