# gate_clauses: one direction only
def gate_clauses(kind, inputs, output):
    literal = -1 if kind in ("AND", "NAND", "NOT") else 1
    result = literal if kind in ("AND", "OR", "REPEAT") else -literal
    return [{wire: -literal, output: result} for wire in inputs]
