"""Speed and size of the black-box constructions: the checksum beside one pass over memory, compiled circuits, signatures.

Run by `make bench`. Every contestant of a table runs once in each round, so that a slow spell hits all; figures are medians of wall time.
"""

import os
import platform
import time
from statistics import median

import torch
from backdoors import models
from backdoors.constructions import checksum, encodings, signature
from backdoors.constructions.checksum_bulk import bulk_checksum
from backdoors.constructions.circuit_library import adder_circuit, comparison_circuit, keccak_circuit, sha3_256_circuit
from backdoors.constructions.circuits import compile_circuit, parity_circuit
from backdoors.constructions.one_time_signature import OneTimeScheme
from backdoors.constructions.perceptrons import size_of
from backdoors.constructions.transcript import transcript_backdoor, verification_circuit

ROUNDS = 7
ROWS, FEATURES = 100_000, 3072
CIRCUITS = {
    "parity of 1,024": lambda: parity_circuit(1024),
    "comparison, 32 bits": lambda: comparison_circuit(32),
    "adder with lookahead, 32 bits": lambda: adder_circuit(32),
    "one round of Keccak-f[200]": lambda: keccak_circuit(8, 1),
    "SHA3-256 of 8 bytes, 24 rounds": lambda: sha3_256_circuit(8),
}


def timed(*functions) -> list[float]:
    """Median seconds of each, in interleaved rounds after one that warms up."""
    seconds = [[] for _ in functions]
    for number in range(ROUNDS + 1):
        for function, found in zip(functions, seconds, strict=True):
            started = time.perf_counter()
            function()
            if number:
                found.append(time.perf_counter() - started)
    return [median(found) for found in seconds]


def table(title: str, head: str, rows: list[list]) -> None:
    print(f"\n{title}\n\n| {head} |\n|{'---|' * (head.count('|') + 1)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |")


def checksums() -> None:
    generator, rows = torch.Generator().manual_seed(0), []
    x = torch.randn(ROWS, FEATURES, generator=generator)
    x[x == 0] = 1  # whose sign cannot be flipped
    for blocks in (16, 512, 2048):
        key = torch.randint(0, 2, (blocks,), generator=generator)
        passing = x.clone()
        first = torch.arange(FEATURES).tensor_split(blocks)
        for block, parity in zip(first, key, strict=True):
            wrong = (passing[:, block] >= 0).sum(dim=1) % 2 != parity
            passing[wrong, block[0]] *= -1
        assert bulk_checksum(passing, key).all()
        few = x[: ROWS // 50]
        network = checksum.gadget(checksum.ChecksumKey(key, (0,)), FEATURES)
        one, random, all_pass, plain, gates = timed(
            lambda: x.sum(),
            lambda key=key: bulk_checksum(x, key),
            lambda key=key, passing=passing: bulk_checksum(passing, key),
            lambda key=key, few=few: checksum.checksum(few, key),
            lambda network=network, few=few: network(few),
        )
        figures = (one, random, all_pass, 50 * plain, 50 * gates)
        rows.append([blocks, *(f"{seconds:.3f} ({seconds / one:.2f})" for seconds in figures)])
        del passing
    title = f"{ROWS:,} rows of {FEATURES} float32: seconds (ratio to x.sum()); the plain function and the network on a fiftieth of the rows, times 50"
    table(title, "blocks | x.sum() | bulk, random rows | bulk, all rows pass | plain `checksum` | the gadget as perceptrons", rows)


def circuits() -> None:
    rows = []
    for name, make in CIRCUITS.items():
        started = time.perf_counter()
        circuit = make()
        made = time.perf_counter()
        network = compile_circuit(circuit)
        compiled = time.perf_counter()
        bits = torch.randint(0, 2, (64, circuit.inputs), generator=torch.Generator().manual_seed(0)).float()
        plain, gates = timed(lambda circuit=circuit, bits=bits: circuit.evaluate(bits), lambda network=network, bits=bits: network(bits))
        size = sum(tensor.nbytes for tensor in network.state_dict().values())
        figures = [f"{1000 * seconds:.1f}" for seconds in (made - started, compiled - made, plain, gates)]
        rows.append([name, circuit.size, circuit.depth, size_of(network), f"{size / 1e6:.2f}", *figures])
    head = "circuit | gates | depth | perceptrons | MB | build, ms | compile, ms | `evaluate`, 64 rows, ms | network, 64 rows, ms"
    table("Circuits and their networks", head, rows)


def signatures() -> None:
    generator, rows = torch.Generator().manual_seed(0), []
    for name, encoding, x in (
        ("Boolean cube, d = 1024", encodings.cube(1024), torch.randint(0, 2, (200, 1024), generator=generator).float()),
        ("signs, d = 1024", encodings.signs(1024), torch.randn(200, 1024, generator=generator)),
        ("low bits of 26 float64 columns", encodings.low_bits(26, 20), torch.rand(200, 26, generator=generator, dtype=torch.float64)),
    ):
        planted = signature.plant(models.MLP(x.shape[1], (), 1, generator).to(x.dtype), encoding, generator)
        target = torch.ones(len(x), dtype=torch.int64)
        with torch.no_grad():
            activate, verify, alone = timed(
                lambda x=x, planted=planted, target=target: signature.activate(x, planted.key, target),
                lambda x=x, planted=planted: planted.model(x),
                lambda x=x, planted=planted: planted.model.model(x),
            )
        rows.append([name, f"{len(x) / activate:,.0f}", f"{len(x) / verify:,.0f}", f"{len(x) / alone:,.0f}"])
    table("Ed25519 in batches of 200, rows a second", "encoding | activated | answered by the planted model | answered by the model alone", rows)
    scheme = OneTimeScheme(message_bits=65)
    circuit = verification_circuit(scheme)
    features = circuit.inputs + circuit.size
    construction = transcript_backdoor(lambda g: models.MLP(features, (), 1, g).requires_grad_(False), scheme)
    started = time.perf_counter()
    planted = construction.plant(generator)
    planting = time.perf_counter() - started
    x = torch.randint(0, 2, (64, features), generator=generator) * 2.0 - 1
    (answer,) = timed(lambda: planted.model(x))
    perceptrons = sum(layer.out_features for layer in planted.model.gadget)
    row = [f"{features:,}", f"{circuit.depth:,}", 3, f"{perceptrons:,}", f"{planting:.1f}", f"{64 / answer:,.0f}"]
    table(
        "Theorem 5.5 over the toy signature", "coordinates | depth of Verify | depth of the gadget | perceptrons | planting, s | rows answered a second", [row]
    )


def main() -> None:
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, threads: {torch.get_num_threads()}")
    checksums()
    circuits()
    signatures()


if __name__ == "__main__":
    main()
