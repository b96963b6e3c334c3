"""Stock nbgrader with this grader inside: preprocessors that `nbgrader_config.py` puts in the place of nbgrader's own.

`Sanitize` makes of a hostile notebook one that nbgrader can read to the end, `Grade` grades what was handed in, `SaveScores` writes the scores, which
come from the challenger and never from a notebook's outputs. nbgrader deletes a submission whose preprocessor raises, so none of these does: what goes
wrong becomes a note at the top of the graded notebook, a line in the log, and a grade that waits for a person.

The autograded copy is what an instructor opens in formgrader and what `nbgrader generate_feedback` renders, and nbgrader's templates print markdown as
it is. So no output, no metadata, no markup and no file of the student's that could carry a script reaches that copy.

A set's own notebook bears the set's name. Other notebooks that an instructor puts beside it are kept from harm in the same way and never run: their
written answers are stock nbgrader's, and their autograded cells wait for a person.
"""

import html
import os
import shutil
import tempfile
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output, upgrade
from nbgrader import utils
from nbgrader.api import Gradebook
from nbgrader.exchange.default import ExchangeReleaseAssignment
from nbgrader.preprocessors import ClearHiddenTests, NbGraderPreprocessor, OverwriteCells, SaveAutoGrades
from sqlalchemy.exc import OperationalError
from traitlets import Dict, List, Unicode

from autograder import releasing, reporting, submissions
from autograder.course import ROOT, sets
from autograder.errors import KitError
from autograder.rendering import make_harmless
from autograder.submissions import SubmissionError

NOTES = "autograder"  # where Sanitize leaves its flags for Grade, in the notebook's metadata
OWN = ("timestamp.txt", "submission_secret.txt")  # what nbgrader's exchange puts beside a submission and reads again
PICTURES = (".png", ".jpg", ".jpeg", ".gif")
REGENERATE = "run `nbgrader generate_assignment` again, then `nbgrader autograde`"
INTERNAL = "the grader failed on this notebook; the log of nbgrader says why, and a person must grade it"


class Sanitize(OverwriteCells):
    """Restores the release's cells and metadata; see `submissions.restore`."""

    root = Unicode(str(ROOT), help="Course whose release is used where the gradebook's course has none.").tag(config=True)

    def preprocess(self, nb, resources):
        task = resources["nbgrader"]
        flags: list[str] = []
        try:
            self._remove_files(task)
            release = self._release(task)
            try:
                if _handed_in(self, task).is_symlink():
                    raise SubmissionError("the notebook is a link; hand in the notebook itself")
                nb, flags, _ = submissions.restore(submissions.normalise(nb), release, task["assignment"])
            except SubmissionError as error:
                nb, flags = deepcopy(release), [str(error)]
            flags = [] if _is_ours(task, self.root) else flags  # of ours Grade says the same
            make_harmless(nb, release)
            nb, resources = super().preprocess(nb, resources)
        except Exception:
            self.log.exception("Sanitize failed on the notebook of %s; all of its cells count as unmarked", task["student"])
            nb, flags = _unmarked(nb), [INTERNAL]
        nb.metadata[NOTES] = {"flags": flags}
        return nb, resources

    def preprocess_cell(self, cell, resources, cell_index):
        cell, resources = super().preprocess_cell(cell, resources, cell_index)
        if "nbgrader" in cell.metadata and "grade_id" not in cell.metadata.nbgrader:  # the gradebook does not know it
            del cell.metadata["nbgrader"]
        return cell, resources

    def _release(self, task: dict) -> NotebookNode:
        folders = _folders(self)
        path = Path(folders.root, folders.release_directory, task["assignment"], f"{task['notebook']}.ipynb")
        if path.is_file():
            return upgrade(submissions.read_release(path))  # an instructor's own may have cells without ids
        if _is_ours(task, self.root):
            return submissions.released(task["assignment"], Path(self.root))
        raise KitError(f"there is no released notebook {path}; {REGENERATE}")

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
                theirs_to_keep = (str(place) in OWN or place.suffix.lower() in PICTURES) and not (theirs / place).is_symlink()
                if place.suffix != ".ipynb" and not theirs_to_keep and not (course / place).is_file():
                    (mine / place).unlink()


class Grade(NbGraderPreprocessor):
    """Grades the notebook as it was handed in and shows the checks' results in the grade cells."""

    root = Unicode(str(ROOT), help="Checkout whose library, checks and problem sets are graded with.").tag(config=True)
    reseed = Dict(help="Students whose inputs are drawn anew, by set: {set: [student, ...]}, each as often as it is named.").tag(config=True)

    def preprocess(self, nb, resources):
        flags = list(nb.metadata.pop(NOTES, {}).get("flags", [])) if isinstance(nb.metadata.get(NOTES), dict) else []
        scores: dict[str, float] = {}
        try:
            if _is_ours(resources["nbgrader"], self.root):
                report = self._report(resources["nbgrader"])
                submission = report.submissions[0]
                flags += [*submission.flags, *self._show(nb, submission)]
                scores = {f"check-{question.name}": float(question.score) for question in submission.questions}
                self._keep(report, resources["nbgrader"])
            elif names := [cell.metadata.nbgrader["grade_id"] for cell in _check_cells(nb)]:
                flags.append(f"the tests of this notebook were not run; a person must grade {', '.join(names)}")
        except SubmissionError as error:
            flags.append(f"{error}; it has no points")
            scores = {cell.metadata.nbgrader["grade_id"]: 0.0 for cell in _check_cells(nb)}
        except Exception:
            self.log.exception("Grade failed on the notebook of %s; a person must grade it", resources["nbgrader"]["student"])
            flags, scores = [*flags, INTERNAL], {}
        for flag in flags:
            self.log.warning("%s: %s", resources["nbgrader"]["student"], reporting.clean(flag))
        nb.cells.insert(0, new_markdown_cell(_style() + _notes(flags), id="notes-of-the-grader"))
        resources["autograder_scores"] = scores
        return nb, resources

    def _report(self, task: dict) -> reporting.Report:
        from autograder import grading

        reseed = self.reseed.get(task["assignment"], []).count(task["student"])
        results = Path(_folders(self).root, "results", task["assignment"])  # where `autograder grade --course` leaves them
        return grading.grade(task["assignment"], _handed_in(self, task), student=task["student"], reseed=reseed, root=Path(self.root), store=results)

    def _show(self, nb: NotebookNode, submission: reporting.Submission) -> list[str]:
        """Puts the checks' results under the grade cells; returns a flag for each question that the gradebook knows otherwise or not at all."""
        questions = {f"check-{question.name}": question for question in submission.questions}
        known = {}
        for cell in _check_cells(nb):
            name = cell.metadata.nbgrader["grade_id"]
            known[name] = cell.metadata.nbgrader["points"]
            if name in questions:
                shown = {"text/plain": reporting.question_text(questions[name]), "text/html": reporting.question_html(questions[name])}
                cell.outputs = [new_output("display_data", shown)]
        return [
            f"{name} is worth {question.max_score} points, and {known.get(name, 'nothing')} in the gradebook; {REGENERATE}"
            for name, question in questions.items()
            if known.get(name) != question.max_score
        ]

    def _keep(self, report: reporting.Report, task: dict) -> None:
        """reports/<set>/nbgrader/<student>.json in the course's folder, for the instructor: out of the folders that nbgrader copies to students."""
        folders = _folders(self)
        inside = replace(report.submissions[0], path=os.path.relpath(report.submissions[0].path, folders.root))
        place = Path(folders.root, "reports", task["assignment"], "nbgrader", f"{task['student']}.json")
        place.parent.mkdir(parents=True, exist_ok=True)
        reporting.write_file(place, reporting.json_bytes(replace(report, submissions=(inside,)).to_json()))


class SaveScores(SaveAutoGrades):
    """Writes Grade's scores to the gradebook. A score that is missing there waits for a person; a manual score is left alone."""

    def preprocess(self, nb, resources):
        task = resources["nbgrader"]
        self.notebook_id, self.assignment_id, self.student_id, self.db_url = task["notebook"], task["assignment"], task["student"], task["db_url"]
        scores = resources.get("autograder_scores", {})
        try:
            cells = {cell.metadata.nbgrader["grade_id"]: cell for cell in nb.cells if "nbgrader" in cell.metadata}
            with Gradebook(self.db_url) as self.gradebook:
                notebook = self.gradebook.find_submission_notebook(self.notebook_id, self.assignment_id, self.student_id)
                for grade in notebook.grades:
                    _save_score(grade, cells.get(grade.name), scores.get(grade.name))
                for comment in notebook.comments:
                    comment.auto_comment = "No response." if _is_blank(cells.get(comment.name)) else None
                student = self.gradebook.find_student(self.student_id)
                if student.first_name is None and student.last_name is None:  # formgrader would show "None, None"
                    student.first_name, student.last_name = "", self.student_id
                self.gradebook.db.commit()
        except OperationalError:  # the database cannot be written: nbgrader says so itself, and nothing is saved for anybody
            raise
        except Exception:
            self.log.exception("the scores of %s were not saved; a person must enter them", self.student_id)
        return nb, resources


def _save_score(grade, cell: NotebookNode | None, score: float | None) -> None:
    """Written answers wait for a person, unless nothing was written; so does whatever has no score, and whatever a person graded before."""
    if cell is not None and utils.is_task(cell):
        if grade.auto_score is not None:  # the notebook was missing before: nbgrader gave that nothing
            grade.auto_score, grade.needs_manual_grade = None, grade.manual_score is None
        return
    if cell is not None and utils.is_solution(cell):
        score = 0.0 if _is_blank(cell) else None
    grade.auto_score = score
    grade.needs_manual_grade = score is None or grade.manual_score is not None


def _is_blank(cell: NotebookNode | None) -> bool:
    """Whether an answer is as it was given out, by nbgrader's own checksum."""
    return cell is not None and utils.is_solution(cell) and cell.metadata.nbgrader.get("checksum") == utils.compute_checksum(cell)


class HideTests(ClearHiddenTests):
    """Leaves the hidden tests of an instructor's other notebooks out of the feedback, where nbgrader itself shows them."""

    display_data_priority = List().tag(config=True)  # nbgrader's own is not configurable, and every run would say so

    def preprocess_cell(self, cell, resources, cell_index):
        if utils.is_grade(cell) and utils.is_locked(cell):  # only there: what a student wrote may look like half of a hidden test
            return super().preprocess_cell(cell, resources, cell_index)
        return cell, resources


class Release(ExchangeReleaseAssignment):
    """Releases through nbgrader's exchange what `autograder release` makes: a set's notebook needs the library and the checks beside it."""

    checkout = Unicode(str(ROOT), help="Checkout whose library and checks are released.").tag(config=True)

    def do_copy(self, src, dest, log=None):
        super().do_copy(src, dest, log)
        if self.coursedir.assignment_id in sets(Path(self.checkout)):
            with tempfile.TemporaryDirectory() as scratch:
                folder = releasing.assemble(self.coursedir.assignment_id, Path(scratch, "set"), root=Path(self.checkout))
                shutil.copytree(folder, dest, ignore=shutil.ignore_patterns("*.ipynb"), dirs_exist_ok=True)


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


def _notes(flags: list[str]) -> str:
    items = "".join(f"<li>{html.escape(reporting.clean(flag))}</li>" for flag in flags)
    return f"<div class='notes'><b>Notes of the grader</b><ul>{items}</ul></div>" if flags else ""


@cache
def _style() -> str:
    """The style sheet, in the notebook: nbgrader's own templates are used as they are."""
    return f"<style>\n{(reporting.TEMPLATES / 'nbgrader.css').read_text()}</style>\n\n"


def _check_cells(nb: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in nb.cells if cell.cell_type == "code" and utils.is_grade(cell) and not utils.is_solution(cell)]


def _is_ours(task: dict, root: str) -> bool:
    """Whether a notebook is the one of its set that this grader grades."""
    return task["notebook"] == task["assignment"] and task["assignment"] in sets(Path(root))


def _handed_in(preprocessor: NbGraderPreprocessor, task: dict) -> Path:
    folders = _folders(preprocessor)
    return Path(folders.root, folders.format_path(folders.submitted_directory, task["student"], task["assignment"]), f"{task['notebook']}.ipynb")


def _folders(preprocessor: NbGraderPreprocessor):
    """The CourseDirectory of the converter that runs a preprocessor."""
    return preprocessor.parent.parent.coursedir
