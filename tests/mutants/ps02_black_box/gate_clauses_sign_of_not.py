# gate_clauses: NOT repeats its wire
def gate_clauses(kind, inputs, output):
    literal = -1 if kind in ("AND", "NAND") else 1
    result = literal if kind in ("AND", "OR", "REPEAT", "NOT") else -literal
    return [*({wire: -literal, output: result} for wire in inputs), {**dict.fromkeys(inputs, literal), output: -result}]
