"""Stock nbgrader with this grader inside: preprocessors that `nbgrader_config.py` puts in the place of nbgrader's own.

`Sanitize` makes of a hostile notebook one that nbgrader can read to the end, `Grade` grades what was handed in, `SaveScores` writes the scores, which
come from the challenger and never from a notebook's outputs. nbgrader deletes a submission whose preprocessor raises, so none of these does: what goes
wrong becomes a note at the top of the graded notebook, a line in the log, and a grade that waits for a person.

The autograded copy is what an instructor opens in formgrader and what `nbgrader generate_feedback` renders, and nbgrader's templates print markdown as
it is. So no output, no metadata, no markup and no file of the student's that could carry a script reaches that copy.
"""

import html
import os
import re
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output
from nbgrader import utils
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.preprocessors import NbGraderPreprocessor, OverwriteCells, SaveAutoGrades
from sqlalchemy.exc import OperationalError
from traitlets import Unicode

from autograder import reporting, submissions
from autograder.course import ROOT
from autograder.submissions import SubmissionError

NOTES = "autograder"  # where Sanitize leaves its flags for Grade, in the notebook's metadata
PICTURES = (".png", ".jpg", ".jpeg", ".gif")
LONGEST = 20_000  # characters of a markdown cell that are rendered
INTERNAL = "the grader failed on this notebook; the log of nbgrader says why, and a person must grade it"


class Sanitize(OverwriteCells):
    """Restores the release's cells and metadata; see `submissions.restore`."""

    root = Unicode(str(ROOT), help="Course whose release is used where the gradebook's course has none.").tag(config=True)

    def preprocess(self, nb, resources):
        task = resources["nbgrader"]
        flags: list[str] = []
        try:
            release = self._release(task)
            try:
                nb, _, _ = submissions.restore(submissions.normalise(nb), release, task["assignment"])
            except SubmissionError:  # Grade refuses it too, and says why
                nb = deepcopy(release)
            _make_harmless(nb, release)
            nb, resources = super().preprocess(nb, resources)
            self._remove_files(task)
        except Exception:
            self.log.exception("Sanitize failed on the notebook of %s; all of its cells count as unmarked", task["student"])
            nb, flags = _unmarked(nb), [INTERNAL]
        nb.metadata[NOTES] = {"flags": flags}
        return nb, resources

    def _release(self, task: dict) -> NotebookNode:
        folders = _folders(self)
        path = Path(folders.root, folders.release_directory, task["assignment"], f"{task['notebook']}.ipynb")
        return submissions.read_release(path) if path.is_file() else submissions.released(task["assignment"], Path(self.root))

    def _remove_files(self, task: dict) -> None:
        """nbgrader copies whatever lies beside a notebook, what links lead to included, to the feedback: keep the course's files and pictures."""
        folders = _folders(self)
        mine, theirs, course = (
            Path(folders.format_path(folder, student, task["assignment"]))
            for folder, student in (
                (folders.autograded_directory, task["student"]),
                (folders.submitted_directory, task["student"]),
                (folders.source_directory, "."),
            )
        )
        for folder, _, names in os.walk(mine):
            for name in names:
                place = Path(folder, name).relative_to(mine)
                picture = place.suffix.lower() in PICTURES and not (theirs / place).is_symlink()
                if place.suffix != ".ipynb" and place.name != "timestamp.txt" and not picture and not (course / place).is_file():
                    (mine / place).unlink()


class Grade(NbGraderPreprocessor):
    """Grades the notebook as it was handed in and shows the checks' results in the grade cells."""

    root = Unicode(str(ROOT), help="Checkout whose library, checks and problem sets are graded with.").tag(config=True)

    def preprocess(self, nb, resources):
        flags = list(nb.metadata.pop(NOTES, {}).get("flags", [])) if isinstance(nb.metadata.get(NOTES), dict) else []
        scores: dict[str, float] = {}
        try:
            report = self._report(resources["nbgrader"])
            submission = report.submissions[0]
            flags += submission.flags
            scores = {f"check-{question.name}": float(question.score) for question in submission.questions}
            self._show(nb, submission)
            self._keep(report, resources["nbgrader"])
        except SubmissionError as error:
            flags.append(f"{error}; it has no points")
            scores = {cell.metadata.nbgrader["grade_id"]: 0.0 for cell in _check_cells(nb)}
        except Exception:
            self.log.exception("Grade failed on the notebook of %s; a person must grade it", resources["nbgrader"]["student"])
            flags, scores = [*flags, INTERNAL], {}
        for flag in flags:
            self.log.warning("%s: %s", resources["nbgrader"]["student"], reporting.clean(flag))
        if flags:
            items = "".join(f"<li>{html.escape(reporting.clean(flag))}</li>" for flag in flags)
            nb.cells.insert(0, new_markdown_cell(f"<div><b>Notes of the grader</b><ul>{items}</ul></div>", id="notes-of-the-grader"))
        resources["autograder_scores"] = scores
        return nb, resources

    def _report(self, task: dict) -> reporting.Report:
        from autograder import grading

        folders = _folders(self)
        path = Path(folders.root, folders.format_path(folders.submitted_directory, task["student"], task["assignment"]), f"{task['notebook']}.ipynb")
        return grading.grade(task["assignment"], path, student=task["student"], root=Path(self.root))

    def _show(self, nb: NotebookNode, submission: reporting.Submission) -> None:
        questions = {f"check-{question.name}": question for question in submission.questions}
        for cell in _check_cells(nb):
            question = questions.get(cell.metadata.nbgrader["grade_id"])
            if question is not None:
                shown = {"text/plain": reporting.question_text(question), "text/html": reporting.question_html(question)}
                cell.outputs = [new_output("display_data", shown)]

    def _keep(self, report: reporting.Report, task: dict) -> None:
        """reports/<set>/<student>.json in the course's folder, for the instructor: out of the folders that nbgrader copies to students."""
        folders = _folders(self)
        inside = replace(report.submissions[0], path=os.path.relpath(report.submissions[0].path, folders.root))
        place = Path(folders.root, "reports", task["assignment"], f"{task['student']}.json")
        place.parent.mkdir(parents=True, exist_ok=True)
        reporting.write_file(place, reporting.json_bytes(replace(report, submissions=(inside,)).to_json()))


class SaveScores(SaveAutoGrades):
    """Writes Grade's scores to the gradebook. A score that is missing there waits for a person; a manual score is left alone."""

    def preprocess(self, nb, resources):
        task = resources["nbgrader"]
        self.notebook_id, self.assignment_id, self.student_id, self.db_url = task["notebook"], task["assignment"], task["student"], task["db_url"]
        scores = resources.get("autograder_scores", {})
        try:
            with Gradebook(self.db_url) as self.gradebook:
                for cell in nb.cells:
                    if utils.is_solution(cell):
                        self._save_answer(cell, resources)
                by_hand = {cell.metadata.nbgrader["grade_id"] for cell in nb.cells if utils.is_grade(cell) and utils.is_solution(cell)}
                for grade in self.gradebook.find_submission_notebook(self.notebook_id, self.assignment_id, self.student_id).grades:
                    if grade.name not in by_hand:
                        grade.auto_score = scores.get(grade.name)
                        grade.needs_manual_grade = grade.manual_score is not None or grade.auto_score is None
                student = self.gradebook.find_student(self.student_id)
                if student.first_name is None and student.last_name is None:  # formgrader would show "None, None"
                    student.first_name, student.last_name = "", self.student_id
                self.gradebook.db.commit()
        except OperationalError:  # the database cannot be written: nbgrader says so itself, and nothing is saved for anybody
            raise
        except Exception:
            self.log.exception("the scores of %s were not saved; a person must enter them", self.student_id)
        return nb, resources

    def _save_answer(self, cell: NotebookNode, resources: dict) -> None:
        """What nbgrader itself does with a solution cell: written answers wait for a person, unless nothing was written."""
        try:
            if utils.is_grade(cell):
                self._add_score(cell, resources)
            self._add_comment(cell, resources)
        except MissingEntry:
            self.log.warning("the gradebook knows no cell %s", cell.metadata.nbgrader["grade_id"])


class _Plain(IPythonRenderer):
    """Renders markdown as nbgrader's templates do, and raises where the text holds markup or addresses of its own."""

    def __init__(self, attachments: dict):
        super().__init__(escape=False, allow_harmful_protocols=False, attachments=attachments)

    def block_html(self, html: str) -> str:
        raise ValueError("markup")

    inline_html = block_mermaidjs = multiline_math = block_html

    def link(self, text: str, url: str, title: str | None = None) -> str:
        if not re.match(r"https?://|mailto:|#", url):
            raise ValueError("an address that is none of the web")
        return super().link(text, url, title)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        if re.match(r"\s*([/\\]|(?!data:image/(png|jpeg|gif);|attachment:)[\w.+-]*:)", url):
            raise ValueError("a picture from the network")
        return super().image(text, url, title)


def is_harmless(source: str, attachments: dict | None = None) -> bool:
    """Whether nbgrader's templates may render a markdown cell: it has no raw HTML, no address that runs, and no picture that they would fail to find
    or fetch from the network."""
    if len(source) > LONGEST:
        return False
    try:
        MarkdownWithMath(renderer=_Plain(attachments or {})).render(source)
    except Exception:  # ValueError of ours, and whatever hostile text raises in the parser
        return False
    return True


def _make_harmless(nb: NotebookNode, release: NotebookNode) -> None:
    """Shows what a student wrote as plain text where rendering it could do more than show it."""
    given = {cell.source for cell in release.cells}
    for cell in nb.cells:
        if cell.cell_type == "markdown" and cell.source not in given and not is_harmless(cell.source, cell.get("attachments")):
            cell.pop("attachments", None)
            cell.source = "\n".join("    " + re.sub(r"[\t\v\f\r\x1c-\x1e\x85\u2028\u2029]", " ", line) for line in cell.source[:LONGEST].split("\n"))


def _unmarked(nb: NotebookNode) -> NotebookNode:
    """The code of a notebook, without anything that nbgrader would read or render."""
    try:
        nb = submissions.normalise(nb)
    except SubmissionError:
        nb = submissions.normalise({"nbformat": 4, "cells": []})
    nb.cells = [cell for cell in nb.cells if cell.cell_type == "code"]
    for cell in nb.cells:
        cell.metadata = NotebookNode()
    return nb


def _check_cells(nb: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in nb.cells if cell.cell_type == "code" and utils.is_grade(cell) and not utils.is_solution(cell)]


def _folders(preprocessor: NbGraderPreprocessor):
    """The CourseDirectory of the converter that runs a preprocessor."""
    return preprocessor.parent.parent.coursedir
