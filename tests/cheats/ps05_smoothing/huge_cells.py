# Cells of a million characters: one line, one name, one number, nested brackets, no characters at all but zero bytes and surrogates.
# levels: 3 2
# limits: cell_cpu=1
# edit: notebook
import nbformat


def edit(notebook):
    for source in (
        "x = '" + "x" * 10**6 + "'",
        "y" * 10**6 + " = 1",
        "z = " + "9" * 10**6,
        "(" * 10**5,
        "-" * 10**6 + "1",
        "\x00" * 10**5,
        "\ud83d" * 10**5,
        "if 1:\n" + " if 1:\n" * 10**4,
    ):
        notebook.cells.insert(1, nbformat.v4.new_code_cell(source))
