# What works in a kernel: transformers of source and syntax tree that drop asserts, hooks around cells, magics that write files and run cells.
# levels: 3 2
# edit: notebook
import nbformat

CELLS = [
    "ip = get_ipython()\nip.input_transformers_post.append(lambda lines: [])",
    "import ast\nclass Drop(ast.NodeTransformer):\n    def visit_Assert(self, node): return None\nget_ipython().ast_transformers.append(Drop())",
    "get_ipython().events.register('pre_run_cell', lambda info: 1 / 0)",
    "get_ipython().run_cell('assert True')\nget_ipython().set_next_input('1000')",
    "%%writefile protocol.py\nraise SystemExit",
    "%%bash\necho 19 > /tmp/score",
    "%load_ext autoreload\n%autoreload 2\n%run -i protocol.py\n%reset -f",
    "!pip install reference\nfiles = !ls /\n%env BACKDOORS_SECRET",
    "from IPython import get_ipython as own\nown().kernel.do_shutdown(True)",
    "import IPython\nIPython.core.inputtransformer2.TransformerManager.transform_cell = lambda self, cell: 'pass'",
    "%%javascript\nJupyter.notebook.kernel.execute('score = 19')",
    "In = Out = _ih = _oh = _dh = [1000]\nquit()",
]


def edit(notebook):
    notebook.cells[1:1] = [nbformat.v4.new_code_cell(source) for source in CELLS]
