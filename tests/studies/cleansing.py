"""Clean and backdoored models of Fashion-MNIST, and what Neural Cleanse says of them. Writes CLEANSING.md and .png, and what ps07_neural_cleanse ships."""

import json
import platform
import shutil
import time
from datetime import date
from pathlib import Path

import click
import torch
from backdoors import data, models, plots
from backdoors.data import Split
from backdoors.neural_cleanse.filter import filter_misses, filter_scores
from backdoors.neural_cleanse.outliers import anomaly_index, compare_with_clean
from backdoors.neural_cleanse.prune import backdoor_units, penultimate, pruning_curve, top_units, units_overlap
from backdoors.neural_cleanse.reverse_engineer import Screening, reverse_engineer, reverse_engineer_pairs
from backdoors.neural_cleanse.unlearn import unlearn
from backdoors.poisoning.badnets import Backdoor, poison_data
from backdoors.poisoning.triggers import CORNERS, Trigger, all_to_all, attack_success, noisy_square, square
from safetensors.torch import save_file
from scipy.stats import binomtest
from tqdm import tqdm

HERE = Path(__file__).parent
SET = HERE.parents[1] / "solutions" / "ps07_neural_cleanse"
SHAPE, RATE, EPOCHS = (1, 28, 28), 0.1, 2
SEEDS, SIZES = range(10), (6, 8, 10, 12, 16)
IMAGES = 1000  # clean test images that the defender has
RATES = (0.005, 0.01, 0.02, 0.05, 0.1)
SHIPPED = ("clean-0", "square-3")


def zoo() -> dict[str, tuple[int, tuple[Backdoor, ...]]]:
    """{name: (seed, backdoors)}: ten clean models, ten with a white square of 4x4 pixels for each label in turn, and the advanced backdoors."""
    found = {f"clean-{seed}": (seed, ()) for seed in SEEDS}
    found |= {f"square-{label}": (10 + label, (Backdoor(square(SHAPE, 4, CORNERS[label % 4]), label, RATE),)) for label in SEEDS}
    found |= {f"size-{size}": (20 + size, (Backdoor(square(SHAPE, size), 0, RATE),)) for size in SIZES}
    found |= {f"noisy-{label}": (40 + label, (Backdoor(noisy_square(SHAPE, 4, torch.Generator().manual_seed(label)), label, RATE),)) for label in (2, 5, 8)}
    found["two-labels"] = (50, tuple(Backdoor(square(SHAPE, 4, corner), label, RATE) for corner, label in zip(CORNERS, (1, 6), strict=False)))
    found["three-labels"] = (51, tuple(Backdoor(square(SHAPE, 4, corner), label, RATE) for corner, label in zip(CORNERS, (1, 6, 8), strict=False)))
    found["two-triggers"] = (52, tuple(Backdoor(square(SHAPE, 4, corner), 3, RATE) for corner in CORNERS[:2]))
    found["partial"] = (53, (Backdoor(square(SHAPE, 4), 7, RATE, sources=(0, 2, 4)),))
    found["all-to-all"] = (54, (Backdoor(square(SHAPE, 4), all_to_all(10), RATE),))
    return found


def infected(name: str) -> list[int]:
    """The labels that the model's triggers lead to."""
    targets = [backdoor.target_label for backdoor in zoo()[name][1]]
    return sorted({label for target in targets for label in (target.tolist() if isinstance(target, torch.Tensor) else [target])})


def untrained(name: str, split: Split) -> tuple[models.CNN, Split]:
    """The model before training, and what it is trained on: the clean data, and its poison after them."""
    seed, backdoors = zoo()[name]
    g = torch.Generator().manual_seed(seed)
    model = models.CNN(1, 28, 10, g)
    return model, poison_data(split, backdoors, g).split if backdoors else split


def models_of(folder: Path, clothes: data.Dataset) -> dict[str, models.CNN]:
    """The zoo, of which each model is trained that the folder does not hold."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in tqdm(zoo(), desc="models"):
        if not (folder / f"{name}.safetensors").exists():
            models.save(models.train(*untrained(name, clothes.train), EPOCHS, seed=zoo()[name][0]), folder / f"{name}.safetensors")
    return {name: models.load(folder / f"{name}.safetensors") for name in zoo()}


def succeeds(model, test: Split, backdoor: Backdoor) -> float:
    """Attack success; of a backdoor with sources, on images of these."""
    rows = slice(None) if backdoor.sources is None else torch.isin(test.labels, torch.tensor(backdoor.sources))
    return attack_success(model, test.images[rows], test.labels[rows], backdoor.trigger, backdoor.target_label)


def interval(hits: int, trials: int) -> str:
    found = binomtest(hits, trials).proportion_ci(0.95, "exact")
    return f"{hits} of {trials} [{found.low:.2f}, {found.high:.2f}]"


def three_digit_numbers(count: int, g: torch.Generator) -> tuple[Split, Split]:
    """Numbers from 000 to 199, of three digits' images side by side, [n, 1, 8, 24]; to train and to test."""
    digits, splits = data.load("digits"), []
    for part, size in ((digits.train, count), (digits.test, count // 10)):
        labels = torch.randint(200, (size,), generator=g)
        rows = {digit: (part.labels == digit).nonzero().flatten() for digit in range(10)}
        chosen = [[rows[int(digit)][int(torch.randint(len(rows[int(digit)]), (), generator=g))] for digit in f"{label:03d}"] for label in labels.tolist()]
        splits.append(Split(torch.cat([part.images[torch.tensor([row[place] for row in chosen])] for place in range(3)], dim=3), labels))
    return tuple(splits)


def many_labels() -> dict:
    """A model of 200 labels with a backdoor, searched without screening and with it."""
    g = torch.Generator().manual_seed(60)
    train, test = three_digit_numbers(20_000, g)
    backdoor = Backdoor(square((1, 8, 24), 2, margin=0), 123, 0.1)
    model = models.MLP(192, (256,), 200, g)
    models.train(model, poison_data(train, [backdoor], g).split, 30, seed=60)
    found = {
        "accuracy": models.accuracy(model, test),
        "success": succeeds(model, test, backdoor),
        "infected": 123,
        "labels": [],
        "label_steps": [],
        "index": [],
    }
    for screening in (None, Screening()):
        reversed_ = reverse_engineer(model, test.images[:IMAGES], torch.Generator().manual_seed(61), screening=screening)
        if screening is None:
            found["norms_by_step"] = [[round(norm, 1) for norm in row] for row in reversed_.norms_by_step[:30].tolist()]
        index = anomaly_index(reversed_.norms)
        found["labels"].append([int(label) for label, i in zip(reversed_.labels, index, strict=True) if i > 2])
        found["index"].append(float(index[(reversed_.labels == 123).nonzero()[0, 0]]) if 123 in reversed_.labels else 0.0)
        found["label_steps"].append(reversed_.label_steps)
    return found


def mitigated(model, backdoor: Backdoor, found: Trigger, clothes: data.Dataset) -> dict:
    """What the reversed trigger is good for: units, filter, pruning, unlearning; the paper's Tables III to V and Figures 8 to 10."""
    defender, rest = Split(clothes.test.images[:IMAGES], clothes.test.labels[:IMAGES]), Split(clothes.test.images[IMAGES:], clothes.test.labels[IMAGES:])
    target, g = backdoor.target_label, torch.Generator().manual_seed(1)
    clean, reversed_, planted = (
        penultimate(model, images) for images in (defender.images, found.stamp(defender.images), backdoor.trigger.stamp(defender.images))
    )
    order, true_order = backdoor_units(clean, reversed_), backdoor_units(clean, planted)
    units = top_units(order)
    away = rest.images[rest.labels != target]
    scores = [filter_scores(penultimate(model, images), units) for images in (defender.images, rest.images, backdoor.trigger.stamp(away))]
    counts = torch.linspace(0, len(order), 26).round().long()
    curve = pruning_curve(model, rest.images, rest.labels, backdoor.trigger, target, order, counts)
    after = {}
    for name, trigger, stamped in (("reversed", found, 0.2), ("planted", backdoor.trigger, 0.2), ("none", found, 0.0)):
        repaired = unlearn(model, clothes.train, trigger, g, stamped=stamped)
        after[name] = (models.accuracy(repaired, rest), succeeds(repaired, rest, backdoor))
    activations = [float(features[:, units].mean()) for features in (clean, reversed_, planted)]
    misses = filter_misses(scores[0], scores[2], torch.tensor(RATES)).tolist()
    share = [float(units_overlap(units, top_units(true_order))), float((found.mask[backdoor.mask > 0]).sum() / found.size)]
    return {
        "activations": activations,
        "overlap": share[0],
        "on_the_sticker": share[1],
        "misses": misses,
        "pruning": [curve.accuracy.tolist(), curve.success.tolist()],
        "shares": (counts / len(order)).tolist(),
        "unlearned": after,
        "success": attack_success(model, rest.images, rest.labels, found, target),
    }


def verdicts(found: dict) -> list[str]:
    """The truth about three rules on the twenty models: the paper's, the same with a threshold from clean models, and the comparison with clean models."""
    clean = torch.tensor([found["norms"][f"clean-{seed}"] for seed in SEEDS])
    lines = ["| rule | infected models accused | of the right label alone | clean models accused |", "|---|---|---|---|"]
    largest = sorted(max(found["index"][f"clean-{seed}"]) for seed in SEEDS)
    rules = {"index above 2 (the paper's)": 2.0, f"index above {largest[-1]:.2f}, the largest of the ten clean models": largest[-1]}
    for name, threshold in rules.items():
        accused = {model: [label for label, i in enumerate(found["index"][model]) if i > threshold] for model in found["index"]}
        hits = [model for model in accused if model.startswith("square") and accused[model]]
        right = [model for model in hits if accused[model] == found["infected"][model]]
        false = sum(bool(accused[f"clean-{seed}"]) for seed in SEEDS)
        lines.append(f"| {name} | {interval(len(hits), 10)} | {interval(len(right), 10)} | {interval(false, 10) if threshold == 2 else 'none, by choice'} |")
    compared = {f"square-{label}": compare_with_clean(torch.tensor(found["norms"][f"square-{label}"]), clean) for label in SEEDS}
    others = {f"clean-{seed}": compare_with_clean(clean[seed], clean[torch.arange(10) != seed]) for seed in SEEDS}
    found["compared"] = {name: outcome.index.tolist() for name, outcome in (compared | others).items()}
    hits = [name for name, outcome in compared.items() if outcome.p_value <= 0.1]
    right = [name for name in hits if int(compared[name].index.argmax()) == found["infected"][name][0]]
    false = sum(outcome.p_value <= 0.1 for outcome in others.values())
    lines.append(f"| compared with clean models, p at most .1 | {interval(len(hits), 10)} | {interval(len(right), 10)} (largest) | {interval(false, 10)} |")
    return lines


def advanced(found: dict, clean: torch.Tensor) -> list[str]:
    lines = ["| model | infected labels | success | norms of these | largest index | label | compared with clean: p, label |", "|---|---|---|---|---|---|---|"]
    for name in found["norms"]:
        if not name.startswith(("clean", "square")):
            norms, index = found["norms"][name], found["index"][name]
            outcome = compare_with_clean(torch.tensor(norms), clean)
            mine = ", ".join(f"{norms[label]:.0f}" for label in found["infected"][name])
            label, compared = index.index(max(index)), int(outcome.index.argmax())
            known = f"{found['infected'][name]} | {found['success'][name]:.2f} | {mine}"
            lines.append(f"| {name} | {known} | {max(index):.2f} | {label} | {outcome.p_value:.2f}, {compared} |")
    return lines


def mean(rows: list) -> float:
    return sum(rows) / len(rows)


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--models", "folder", type=click.Path(path_type=Path), default=Path("build/cleansing"), show_default=True, help="Where trained models are kept.")
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), default=HERE, help="The folder that CLEANSING.md and CLEANSING.png go to.")
@click.option("--ship", type=click.Path(path_type=Path, file_okay=False), default=SET, help="The folder that gets what the notebook needs.")
def main(folder, to, ship):
    torch.set_num_threads(1)
    start, clothes = time.process_time(), data.load("fashion-mnist")
    networks = models_of(folder, clothes)
    training = time.process_time() - start
    found = {"infected": {name: infected(name) for name in networks}, "norms": {}, "index": {}, "success": {}, "accuracy": {}}
    triggers, seconds = {}, []
    for name, model in tqdm(networks.items(), desc="verdicts"):
        began = time.process_time()
        reversed_ = reverse_engineer(model, clothes.test.images[:IMAGES], torch.Generator().manual_seed(1))
        seconds.append(time.process_time() - began)
        found["norms"][name] = [round(norm, 2) for norm in reversed_.norms.tolist()]
        found["index"][name] = [round(i, 3) for i in anomaly_index(torch.tensor(found["norms"][name])).tolist()]
        backdoors = zoo()[name][1]
        found["success"][name] = round(mean([succeeds(model, clothes.test, backdoor) for backdoor in backdoors]), 4) if backdoors else None
        found["accuracy"][name] = round(models.accuracy(model, clothes.test), 4)
        triggers[name] = reversed_
    clean = torch.tensor([found["norms"][f"clean-{seed}"] for seed in SEEDS])
    after = {}
    for name in tqdm([name for name in networks if name.startswith("square")], desc="mitigation"):
        (backdoor,) = zoo()[name][1]
        after[name] = mitigated(networks[name], backdoor, triggers[name].trigger(backdoor.target_label), clothes)
    pairs = reverse_engineer_pairs(networks["partial"], clothes.test.images[:IMAGES], clothes.test.labels[:IMAGES], torch.Generator().manual_seed(2))
    patched, two = networks["two-triggers"], zoo()["two-triggers"][1]
    repeated = [[succeeds(patched, clothes.test, backdoor) for backdoor in two]]
    for turn in range(2):
        again = reverse_engineer(patched, clothes.test.images[:IMAGES], torch.Generator().manual_seed(3 + turn), labels=torch.tensor([3]))
        patched = unlearn(patched, clothes.train, again.trigger(3), torch.Generator().manual_seed(5 + turn))
        repeated.append([succeeds(patched, clothes.test, backdoor) for backdoor in two])
    found["many"] = many = many_labels()
    wanted = (("clean", "accuracy"), ("square", "accuracy"), ("square", "success"))
    average = {(kind, key): mean([found[key][f"{kind}-{seed}"] for seed in SEEDS]) for kind, key in wanted}
    norms = [found["norms"][f"square-{seed}"] for seed in SEEDS]
    mine = [row[seed] for seed, row in zip(SEEDS, norms, strict=True)]
    accused = [found["index"][f"square-{seed}"][seed] for seed in SEEDS]
    innocent = [max(found["index"][f"clean-{seed}"]) for seed in SEEDS]
    others = [norm for seed, row in zip(SEEDS, norms, strict=True) for label, norm in enumerate(row) if label != seed]
    lines = [
        "# Neural Cleanse on models whose backdoors are known",
        "",
        f"`python tests/studies/cleansing.py`, {date.today()}, {platform.processor() or platform.machine()}, torch {torch.__version__};"
        f" {training:.0f} s of CPU time to train what was not there, {time.process_time() - start - training:.0f} s for the rest.",
        "",
        f"Networks of two convolutions, trained on Fashion-MNIST for {EPOCHS} epochs; {len(networks)} of them: ten clean, ten with a white square of 4x4 pixels"
        f" in one of the corners, a tenth of the data stamped and relabelled, and {len(networks) - 20} with other backdoors. The defender has {IMAGES} clean"
        f" test images, and searches 100 steps of 10 batches of 32. Accuracy of the clean models {average['clean', 'accuracy']:.3f}, of the infected ones"
        f" {average['square', 'accuracy']:.3f}; attack success {average['square', 'success']:.3f}. A verdict on ten labels takes"
        f" {sorted(seconds)[len(seconds) // 2]:.0f} s of CPU time in the median. Intervals are exact, 95%.",
        "",
        "## How often is it right?",
        "",
        *verdicts(found),
        "",
        f"The infected label has the smallest norm in {sum(min(row) == own for row, own in zip(norms, mine, strict=True))} of the 10 infected models:"
        f" {min(mine):.1f} to {max(mine):.1f}, where the planted mask has 16; the other labels' norms go from {min(others):.0f} to {max(others):.0f}. The"
        " labels of this data set differ that much from one another in every model, clean or not, so that the paper's index tells little: that of the infected"
        f" label is {min(accused):.2f} to {max(accused):.2f}, and the largest of a clean model {min(innocent):.2f} to {max(innocent):.2f}.",
        "",
        "| model | largest index | label | norms |",
        "|---|---|---|---|",
    ]
    for name in networks:
        index = found["index"][name]
        lines.append(f"| {name} | {max(index):.2f} | {index.index(max(index))} | {', '.join(f'{norm:.0f}' for norm in found['norms'][name])} |")
    rows = list(after.values())
    lines += [
        "",
        "![picture](CLEANSING.png)",
        "",
        "## What the reversed trigger is good for",
        "",
        "Means over the ten infected models.",
        "",
        "| | clean images | reversed trigger | planted trigger |",
        "|---|---|---|---|",
        "| activation of the top 1% of units | " + " | ".join(f"{mean([row['activations'][k] for row in rows]):.2f}" for k in range(3)) + " |",
        "",
        f"Of these units and the planted trigger's own top 1%, {mean([row['overlap'] for row in rows]):.0%} (intersection over union) are the same;"
        f" {mean([row['on_the_sticker'] for row in rows]):.0%} of the reversed mask lies on the sticker; the reversed trigger succeeds on"
        f" {mean([row['success'] for row in rows]):.1%} of other images.",
        "",
        "| promised false-positive rate of the filter | " + " | ".join(f"{rate:g}" for rate in RATES) + " |",
        "|---|" + "---|" * len(RATES),
        "| stamped inputs that pass | " + " | ".join(f"{mean([row['misses'][k] for row in rows]):.2f}" for k in range(len(RATES))) + " |",
        "",
        "| unlearning, a tenth of the clean data, one epoch | accuracy | attack success: mean, worst |",
        "|---|---|---|",
    ]
    for name in ("reversed", "planted", "none"):
        pairs_ = [row["unlearned"][name] for row in rows]
        lines.append(f"| {name} | {mean([a for a, _ in pairs_]):.3f} | {mean([s for _, s in pairs_]):.3f}, {max(s for _, s in pairs_):.3f} |")
    sources = {source: int(pair.labels[pair.norms.argmin()]) for source, pair in pairs.items()}
    smallest = {source: float(pair.norms.min()) for source, pair in pairs.items()}
    lines += [
        "",
        "## Other backdoors",
        "",
        *advanced(found, clean),
        "",
        "Partial: sources 0, 2 and 4, target 7. Searched for every source apart, the smallest norm of each source and its label: "
        + "; ".join(f"{source}: {smallest[source]:.0f} ({sources[source]})" for source in sources)
        + ".",
        "",
        "Two triggers for one label, patched with the reversed trigger once and again: success of both "
        + ", then ".join(f"{a:.2f} and {b:.2f}" for a, b in repeated)
        + ".",
        "",
        f"Two hundred labels (three digits side by side; accuracy {many['accuracy']:.3f}, attack success {many['success']:.3f}, label 123): index of the"
        f" infected label {many['index'][0]:.2f} without screening, accused {many['labels'][0]}, {many['label_steps'][0]:,} steps summed over labels; with the"
        f" best 100 kept, index {many['index'][1]:.2f}, accused {many['labels'][1]}, {many['label_steps'][1]:,} steps.",
    ]
    to.mkdir(parents=True, exist_ok=True)
    (to / "CLEANSING.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    twenty = [name for name in networks if name.startswith(("square", "clean"))]
    plots.mask_norms({name: torch.tensor(found["norms"][name]) for name in twenty}, {name: found["infected"][name] for name in twenty}).savefig(
        to / "CLEANSING.png", dpi=110
    )
    ship.mkdir(parents=True, exist_ok=True)
    found["pruning"] = {"shares": rows[0]["shares"], "accuracy": [mean([row["pruning"][0][k] for row in rows]) for k in range(26)]}
    found["pruning"]["success"] = [mean([row["pruning"][1][k] for row in rows]) for k in range(26)]
    (ship / "cleansing.json").write_text(json.dumps(found), encoding="utf-8")
    for name in SHIPPED:
        shutil.copy(folder / f"{name}.safetensors", ship)
    test = Split(clothes.test.images[:IMAGES], clothes.test.labels[:IMAGES])
    save_file({"images": (255 * test.images).round().to(torch.uint8), "labels": test.labels.to(torch.uint8)}, ship / "clothes.safetensors")


if __name__ == "__main__":
    main()
