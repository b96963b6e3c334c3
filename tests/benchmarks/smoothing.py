"""Speed and memory of certify, against ART 1.20.1 and against the limit: the model alone, on noisy batches that were drawn before.

Run by `make bench`. All contestants have one thread and are measured in CPU seconds, which other work on the machine disturbs little. Every contestant of
a workload runs once in each round, so that a slow spell hits all; the table gives medians. Peak memory is that of a fresh process which runs the
contestant once, above what it held after its imports and with the image and the model in place.
"""

import os
import platform
import subprocess
import sys
import time
from statistics import median

import torch
from backdoors import data, models
from backdoors.smoothing.certify import certify

ROUNDS = 5
THREADS = 1
SIGMA, ALPHA, N0, BATCH = 0.25, 0.001, 100, 1000
WORKLOADS = {
    "3x32x32 image, MLP 3072-64-10, 100,000 samples": ("mlp", 100_000),
    "8x8 image, digits CNN, 100,000 samples": ("digits", 100_000),
    "28x28 image, Fashion-MNIST CNN, 20,000 samples": ("fashion-mnist", 20_000),
}
ART = {"ART, its batch size 32": 32, "ART, batch size 1000": 1000}
OURS = {"gaussian": "gaussian", "gaussian, black box": "gaussian", "sound": "sound"}
TARGETS = [  # workload, contestant, what is measured, at least (or, of memory, at most)
    ("mlp", "gaussian", "speed against ART", 20),
    ("mlp", "sound", "speed against ART", 3),
    ("mlp", "gaussian", "memory", 0.1),
    ("mlp", "sound", "memory", 0.1),
    ("digits", "gaussian", "share of the limit", 0.8),
    ("fashion-mnist", "gaussian", "share of the limit", 0.8),
]


def image_and_model(kind):
    generator = torch.Generator().manual_seed(0)
    if kind == "mlp":
        return torch.rand(3, 32, 32, generator=generator), models.MLP(3072, (64,), 10, generator).eval()
    image = data.load(kind).test.images[0].clone()
    return image, models.CNN(1, image.shape[-1], 10, generator).eval()


def contestant(name, image, model, samples):
    """A function without arguments that does the work once."""
    generator = torch.Generator().manual_seed(1)
    if name in ART:
        from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing

        options = {"loss": torch.nn.CrossEntropyLoss(), "input_shape": tuple(image.shape), "nb_classes": 10, "device_type": "cpu"}
        art = PyTorchRandomizedSmoothing(model=model, sample_size=N0, scale=SIGMA, alpha=ALPHA, **options)
        return lambda: art.certify(image[None].numpy(), n=samples, batch_size=ART[name])
    if name == "limit":
        drawn = [image + SIGMA * torch.randn(BATCH, *image.shape, generator=generator) for _ in range(20)]  # too much for any cache

        def forward():
            with torch.no_grad():
                for batch in range((N0 + samples) // BATCH):
                    model(drawn[batch % len(drawn)])

        return forward
    asked = (lambda batch: model(batch)) if "black box" in name else model
    return lambda: certify(asked, image, SIGMA, N0, samples, ALPHA, generator, OURS[name], BATCH)


def memory(field):
    """A line of /proc/self/status, in GB."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field)) * 1024 / 1e9


def measured_memory(name, kind, samples):
    command = [sys.executable, __file__, "--memory", name, kind, str(samples)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def print_memory(name, kind, samples):
    torch.set_num_threads(THREADS)
    if name in ART:
        import art.estimators.certification.randomized_smoothing  # noqa: F401
        import statsmodels.stats.proportion  # noqa: F401
    image, model = image_and_model(kind)
    with open("/proc/self/clear_refs", "w") as peak:  # forget the peak of loading the data
        peak.write("5")
    before = memory("VmRSS")
    contestant(name, image, model, int(samples))()
    print(memory("VmHWM") - before)


def main():
    torch.set_num_threads(THREADS)
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, threads: {THREADS}")
    print(f"sigma {SIGMA}, n0 {N0}, batch size {BATCH}; medians of {ROUNDS} interleaved rounds\n")
    print("| workload | contestant | CPU seconds | from - to | speed against ART | share of the limit | peak memory, GB |\n|---|---|---|---|---|---|---|")
    found = {}
    for workload, (kind, samples) in WORKLOADS.items():
        names = ["limit", *OURS, *ART] if kind == "mlp" else ["limit", "gaussian", "sound", *ART]
        work = {name: contestant(name, *image_and_model(kind), samples) for name in names}
        for run in work.values():
            run() if run is not work.get("ART, its batch size 32") else None  # warm up; the slowest needs no help
        seconds = {name: [] for name in names}
        for _ in range(ROUNDS):
            for name, run in work.items():
                start = time.process_time()
                run()
                seconds[name].append(time.process_time() - start)
        middle = {name: median(times) for name, times in seconds.items()}
        best_art = min(middle[name] for name in ART)
        for name in names:
            found[kind, name, "speed against ART"] = best_art / middle[name]
            found[kind, name, "share of the limit"] = middle["limit"] / middle[name]
            found[kind, name, "memory"] = measured_memory(name, kind, samples) if name != "limit" else float("nan")
            span = f"{min(seconds[name]):.3f} - {max(seconds[name]):.3f}"
            ratios = f"{found[kind, name, 'speed against ART']:.1f} | {found[kind, name, 'share of the limit']:.2f}"
            print(f"| {workload} | {name} | {middle[name]:.3f} | {span} | {ratios} | {found[kind, name, 'memory']:.3f} |", flush=True)
    print()
    for kind, name, quantity, bound in TARGETS:
        value = found[kind, name, quantity]
        met = value <= bound if quantity == "memory" else value >= bound
        print(f"{'met   ' if met else 'MISSED'} {kind}, {name}: {quantity} {value:.3g}, wanted {'at most' if quantity == 'memory' else 'at least'} {bound}")


if __name__ == "__main__":
    print_memory(*sys.argv[2:]) if sys.argv[1:2] == ["--memory"] else main()
