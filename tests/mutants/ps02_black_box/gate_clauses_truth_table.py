# gate_clauses: a clause for every row of the truth table
def gate_clauses(kind, inputs, output):
    from itertools import product

    value = {"AND": all, "OR": any, "NAND": lambda bits: not all(bits), "NOR": lambda bits: not any(bits), "NOT": lambda bits: not bits[0], "REPEAT": all}
    rows = product((0, 1), repeat=len(inputs))
    return [{**{w: -1 if bit else 1 for w, bit in zip(inputs, row)}, output: 1 if value[kind](row) else -1} for row in rows]
