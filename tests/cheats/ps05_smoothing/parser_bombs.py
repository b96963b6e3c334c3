# Code that breaks the compiler, and takes the process with it: expressions nested a hundred thousand deep, and a syntax tree that was never parsed.
# levels: 3 2
# limits: check_cpu=1 cell_cpu=1
# exercise: certify
import ast
import sys
import types


def certify(model, x, sigma, n0, n, alpha, generator):
    sys.setrecursionlimit(10**8)
    for source in ("(" * 10**5 + ")" * 10**5, "-" * 10**5 + "1", "lambda:" * 10**5 + "1", "[" * 10**5):
        try:
            compile(source, "x", "eval")
        except (SyntaxError, MemoryError, RecursionError):
            pass
    tree = ast.Constant(1)
    for _ in range(10**5):
        tree = ast.UnaryOp(ast.USub(), tree)
    try:
        compile(ast.fix_missing_locations(ast.Expression(tree)), "x", "eval")
    except RecursionError:
        pass
    exec((lambda: None).__code__.replace(co_code=bytes(range(256)) * 100, co_stacksize=1))
