# The answer of a classmate who got all points, for the classmate's own inputs, handed in under another name.
# levels: 3 2
# edit: notebook
NAMES = ("lower_confidence_bound", "certified_radius")


def edit(notebook):
    from autograder import grading
    from autograder.plugin import Plugin, run
    from autograder.protocol import loopback
    from backdoors.smoothing import certify

    tape = {}

    def recorded(name):
        def function(*args):
            return tape.setdefault((name, args), getattr(certify, name)(*args))

        return function

    functions = {name: recorded(name) for name in NAMES}
    for name in NAMES:
        references = grading.references("ps05_smoothing")
        plugin = Plugin(lambda _: loopback(functions), secret=b"cheats", student="classmate", only=name, references=references)
        run(grading.check_files("ps05_smoothing"), plugin)
        assert all(result.passed for result in plugin.results[name])
    for name in NAMES:
        cell = next(cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == name)
        cell.source = f"_tape = {tape!r}\ndef {name}(*args):\n    return _tape[{name!r}, args]"
