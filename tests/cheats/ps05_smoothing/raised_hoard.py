# Every cell "raises" four million characters, which the challenger keeps.
# levels: 3 2
# edit: notebook
import nbformat


def edit(notebook):
    patch = "import sys\nmain = [o for o in __import__('gc').get_objects() if type(o).__name__ == 'Notebook'][0]\nlong = '\\U0001f600' + 'x' * 4_000_000\ntype(main).cell = lambda self, source: long"
    notebook.cells[2:2] = [nbformat.v4.new_code_cell(patch)] + [nbformat.v4.new_code_cell("0") for _ in range(100)]
