"""Points stock nbgrader at this course's folders and at its grader. nbgrader reads it from the folder in which it is run: run it here."""

from autograder.blanking import STUB

c = get_config()  # noqa: F821  # nbgrader defines it

c.CourseDirectory.course_id = "backdoors"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "assignments"
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "feedback", "*.md"]  # nbgrader copies every other file to students

c.ClearSolutions.code_stub = {"python": "\n".join(STUB)}

# Student code runs in the sandbox, never in nbgrader's process; scores come from the challenger, never from a notebook's outputs.
c.Autograde.sanitize_preprocessors = [
    "autograder.nbgrader.Sanitize",  # first: the others trust what they read
    "nbgrader.preprocessors.ClearOutput",
    "nbgrader.preprocessors.OverwriteKernelspec",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.Autograde.autograde_preprocessors = [
    "autograder.nbgrader.Grade",
    "nbgrader.preprocessors.IgnorePattern",
    "nbconvert.preprocessors.ClearMetadataPreprocessor",
    "nbgrader.preprocessors.LimitOutput",
    "autograder.nbgrader.SaveScores",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.OverwriteCells.add_missing_cells = True
c.ExchangeFactory.release_assignment = "autograder.nbgrader.Release"

c.HTMLExporter.sanitize_html = True
c.HTMLExporter.exclude_anchor_links = True  # a student's heading must not bear the id of formgrader's field for a score
c.GenerateFeedback.preprocessors = ["nbgrader.preprocessors.GetGrades", "autograder.nbgrader.HideTests"]
