# Says in its first cell that it is of another problem set, whose exercises are none.
# levels: 3 2
# edit: notebook
# base: solved
def edit(notebook):
    for cell in notebook.cells:
        if "PROBLEM_SET" in cell.source:
            cell.source = cell.source.replace("ps05_smoothing", "ps99_easy")
