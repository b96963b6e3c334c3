# Points, outputs and copies of the locked cells forged in the file, and a cell that replaces `check`.
# levels: 3 2
# edit: notebook
import nbformat


def edit(notebook):
    for cell in list(notebook.cells):
        marks = cell.metadata.get("nbgrader", {})
        if marks.get("grade"):
            marks.update(points=1000, locked=False, checksum="0" * 32)
            if cell.cell_type == "code":
                cell.outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "1000"}, execution_count=1)]
                notebook.cells.append(nbformat.from_dict(cell))
    notebook.cells.insert(0, nbformat.v4.new_code_cell("check = lambda name: 1000\nimport autograder\nautograder.check = check"))
