# Metadata, ids, tags, attachments and cell types that no notebook has: nested, huge, of wrong types, with direction marks, control characters and script.
# levels: 3 2
# edit: notebook
import nbformat


def edit(notebook):
    deep = {}
    for _ in range(100):
        deep = {"\u202e<script>alert(1)</script>": deep, "x": [deep.get("x")]}
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": {"name": "bash; rm -rf /"}, "backdoors": {"score": 19, "points": 10**400}, "deep": deep, "\x00": "\ud800"}
    )
    for index, cell in enumerate(notebook.cells):
        marks = cell.metadata.get("nbgrader", {})
        marks.update(points=10**30, schema_version=-1, checksum={"$ref": "#"}, cell_type=["code"], task=True)
        cell.metadata.update(tags=["explore", 7, "\u202e", "../../x"], deletable=[deep] * (index == 3), score="19/19", name="\x1b[2J")
        cell["id"] = ["../../etc/passwd", 7, "\u202e" * 300, ""][index % 4]
        cell["attachments"] = {"../../x.png": {"image/png": "<script>", "text/html": "<script>"}}
        if cell.cell_type == "code":
            cell["execution_count"] = -(10**30)
            cell["outputs"] = [
                {
                    "output_type": "execute_result",
                    "data": {"text/plain": "19", "application/javascript": "alert(1)"},
                    "metadata": {"score": 19},
                    "execution_count": 10**30,
                }
            ]
    notebook.cells.append(nbformat.from_dict({"cell_type": "solved", "metadata": [], "source": {"score": 19}}))
