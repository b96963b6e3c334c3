# Honest: an added cell runs out of memory, another leaves the process, a third raises; the answers themselves are right.
# levels: 3 2
# base: solved
# edit: notebook
# grade: all
import nbformat


def edit(notebook):
    for source in ("kept = bytearray(1 << 36)", "import sys\nsys.exit('done for today')", "1 / 0", "import os\nos._exit(3)"):
        notebook.cells.append(nbformat.v4.new_code_cell(source))
