# gate_clauses: only the first two inputs are read
def gate_clauses(kind, inputs, output):
    inputs = inputs[:2]
    literal = -1 if kind in ("AND", "NAND", "NOT") else 1
    result = literal if kind in ("AND", "OR", "REPEAT") else -literal
    return [*({wire: -literal, output: result} for wire in inputs), {**dict.fromkeys(inputs, literal), output: -result}]
