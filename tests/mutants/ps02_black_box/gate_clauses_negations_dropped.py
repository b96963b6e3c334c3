# gate_clauses: NAND and NOR are AND and OR
def gate_clauses(kind, inputs, output):
    literal = -1 if kind in ("AND", "NAND", "NOT") else 1
    result = -literal if kind == "NOT" else literal
    return [*({wire: -literal, output: result} for wire in inputs), {**dict.fromkeys(inputs, literal), output: -result}]
