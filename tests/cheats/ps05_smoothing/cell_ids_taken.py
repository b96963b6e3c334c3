# An added cell bears the id of a marked cell, and the two ids that the repair would give it next are taken.
# levels: 3 2
# edit: notebook
import nbformat


def edit(notebook):
    marked = [cell for cell in notebook.cells if cell.metadata.get("nbgrader")]
    owned = marked[0].id
    marked[0].id = "mine"
    extra = [nbformat.v4.new_code_cell("0") for _ in range(3)]
    extra[2].id = owned
    extra[0].id = "s-2"
    extra[1].id = f"s-2-{len(marked) + 2}"
    notebook.cells[:0] = extra
