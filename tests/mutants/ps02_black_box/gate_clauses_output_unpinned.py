# gate_clauses: the output wire is in no clause
def gate_clauses(kind, inputs, output):
    literal = -1 if kind in ("AND", "NAND", "NOT") else 1
    return [*({wire: -literal} for wire in inputs), dict.fromkeys(inputs, literal)]
