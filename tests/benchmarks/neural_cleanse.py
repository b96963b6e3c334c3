"""Speed of reverse engineering a label: ours, ART 1.20.1's, and the limit, which is the bare network's passes forward and backward on as many images.

Run by hand: `python tests/benchmarks/neural_cleanse.py [PYTHON]`, where PYTHON, this interpreter unless given, has adversarial-robustness-toolbox and
tensorflow-cpu; without them ART's rows are left out. All contestants have the same weights, images, and batches of 32, and are measured for a label and a
mini-batch, in interleaved rounds: in wall time with the threads that each takes by itself, and in CPU time with one thread. ART's `reset`, which sets the
learning rate to 0, does nothing here.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from statistics import median

import numpy as np

ROUNDS, STEPS, BATCHES, BATCH, LABELS = 11, 2, 10, 32, 10
IMAGES = {"digits, 8x8": "digits", "Fashion-MNIST, 28x28": "fashion-mnist"}


def clock(threads: str) -> float:
    return time.process_time() if threads == "one" else time.perf_counter()


def keras_search(file: str, threads: str):
    """A function that runs ART's search for one label and the given number of mini-batches, on weights and images of the file; None without ART or Keras."""
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    try:
        import keras
        import tensorflow as tf
        from art.estimators.poison_mitigation.neural_cleanse import KerasNeuralCleanse
    except ImportError:
        return None
    if threads == "one":
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    given = np.load(file)
    size = given["images"].shape[2]
    first, second = (keras.layers.Conv2D(channels, 3, padding="same", activation="relu") for channels in (16, 32))
    pool, last = keras.layers.MaxPooling2D, keras.layers.Dense(10, activation="softmax")
    model = keras.Sequential([keras.layers.Input((size, size, 1)), first, pool(), second, pool(), keras.layers.Flatten(), last])
    for layer, (kernel, bias) in zip((first, second), (("0.weight", "0.bias"), ("3.weight", "3.bias")), strict=True):
        layer.set_weights([given[kernel].transpose(2, 3, 1, 0), given[bias]])
    dense = given["7.weight"].reshape(10, 32, size // 4, size // 4).transpose(2, 3, 1, 0).reshape(-1, 10)  # Keras flattens channels last
    last.set_weights([dense, given["7.bias"]])
    images = given["images"].transpose(0, 2, 3, 1)
    assert np.array_equal(model.predict(images, verbose=0).argmax(axis=1), given["answers"])  # the same network
    model.compile(loss="categorical_crossentropy", optimizer=keras.optimizers.Adam(0.1))
    search = KerasNeuralCleanse(model, steps=STEPS, norm=1, clip_values=(0, 1), batch_size=BATCH)
    search.reset = lambda: None
    return lambda: search.generate_backdoor(images, np.eye(10)[given["answers"]], np.eye(10)[0])


def serve_art(file: str, threads: str) -> None:
    """A line of JSON for each line of stdin: seconds of one search."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # ART prints in every step
    search = keras_search(file, threads)
    print(json.dumps(search is not None), file=answers, flush=True)
    for _ in sys.stdin:
        start = clock(threads)
        search()
        print(json.dumps(clock(threads) - start), file=answers, flush=True)


def contestants(kind: str, folder: str) -> tuple[dict, str]:
    import torch
    from backdoors import data, models
    from backdoors.neural_cleanse.reverse_engineer import reverse_engineer

    split = data.load(kind).train
    size = split.images.shape[-1]
    model = models.train(models.CNN(1, size, 10, torch.Generator().manual_seed(0)), data.Split(split.images[:2000], split.labels[:2000]), 3)
    images = split.images[: BATCHES * BATCH]
    file = os.path.join(folder, f"{kind}.npz")
    answers = model(images).argmax(dim=1).numpy()
    np.savez(file, images=images.numpy(), answers=answers, **{name: tensor.numpy() for name, tensor in model.state_dict().items()})

    def limit(network):
        for batch in images.split(BATCH):
            for _ in range(LABELS // 5 * STEPS):
                stamped = batch.repeat(5, 1, 1, 1).requires_grad_()
                torch.autograd.grad(network(stamped).logsumexp(dim=1).sum(), stamped)

    def ours():
        found = reverse_engineer(model, images, torch.Generator().manual_seed(0), steps=STEPS, batches=BATCHES, batch_size=BATCH)
        assert found.label_steps == LABELS * STEPS

    plain = model.requires_grad_(False)
    return {"limit": lambda: limit(plain), "`reverse_engineer`": ours}, file


def measure(name: str, kind: str, python: str, threads: str) -> list[list]:
    with tempfile.TemporaryDirectory() as folder:
        work, file = contestants(kind, folder)
        command = [python, __file__, "--art", file, threads]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1) as art:
            if json.loads(art.stdout.readline() or "false"):
                work["ART, learning rate restored"] = None
            seconds = {contestant: [] for contestant in work}
            for _ in range(ROUNDS + 1):
                for contestant, run in work.items():
                    start = clock(threads)
                    if run is None:
                        print(file=art.stdin, flush=True)
                        spent = json.loads(art.stdout.readline()) * LABELS
                    else:
                        run()
                        spent = clock(threads) - start
                    seconds[contestant].append(spent / (LABELS * STEPS * BATCHES) * 1e3)
            art.stdin.close()
    rows = []
    middle = {contestant: median(times[1:]) for contestant, times in seconds.items()}  # the first round warms up
    for contestant, times in seconds.items():
        against = f"{middle['ART, learning rate restored'] / middle[contestant]:.1f}" if "ART, learning rate restored" in middle else ""
        span = f"{min(times[1:]):.2f} - {max(times[1:]):.2f}"
        rows.append([name, threads, contestant, f"{middle[contestant]:.2f}", span, against, f"{middle['limit'] / middle[contestant]:.2f}"])
    return rows


def main(python: str) -> None:
    import torch

    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}; medians of {ROUNDS} rounds")
    print(f"CNN of the library, {LABELS} labels, batches of {BATCH}\n")
    print("| images | threads | contestant | ms for a label and a mini-batch | from - to | times as fast as ART | share of the limit |")
    print("|---|---|---|---|---|---|---|")
    own = torch.get_num_threads()
    for name, kind in IMAGES.items():
        for threads in ("its own", "one"):
            torch.set_num_threads(own if threads == "its own" else 1)
            for row in measure(name, kind, python, threads):
                print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    serve_art(*sys.argv[2:]) if sys.argv[1:2] == ["--art"] else main(sys.argv[1] if len(sys.argv) > 1 else sys.executable)
