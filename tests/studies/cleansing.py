"""What Neural Cleanse says of models whose backdoors are known. Writes CLEANSING.md and its pictures, and what ps07_neural_cleanse ships."""

import json
import platform
import shutil
import time
from datetime import date
from pathlib import Path
from statistics import mean, median

import click
import torch
from backdoors import data, models, plots
from backdoors.data import Split
from backdoors.neural_cleanse.features import penultimate
from backdoors.neural_cleanse.filter import filter_misses, filter_scores, filter_threshold
from backdoors.neural_cleanse.outliers import anomaly_index, calibrated_threshold, compare_with_clean
from backdoors.neural_cleanse.prune import backdoor_units, pruning_curve, top_units, units_overlap
from backdoors.neural_cleanse.reverse_engineer import Screening, reverse_engineer, reverse_engineer_pairs
from backdoors.neural_cleanse.unlearn import unlearn
from backdoors.poisoning.badnets import Backdoor, poison_data
from backdoors.poisoning.triggers import CORNERS, Trigger, attack_success, square, watermark
from backdoors.poisoning.trojan import plant_trojan
from safetensors.torch import save_file
from scipy.stats import binomtest
from tqdm import tqdm
from zoo import EPOCHS, FRESH, SEEDS, SHAPE, SIZES, infected, models_of, succeeds, zoo

HERE = Path(__file__).parent
SET = HERE.parents[1] / "solutions" / "ps07_neural_cleanse"
IMAGES = 1000  # clean test images that the defender has
TRAINING = 25  # minutes of CPU time
RATES = (0.005, 0.01, 0.02, 0.05, 0.1)
SHARES = (0, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, *(tenth / 10 for tenth in range(2, 11)))  # of units, pruned
PARTIAL = [(source, 7) for source in (0, 2, 4)]  # the pairs of labels that the partial backdoor connects
TWINS = ("clean-0", "clean-1")  # whose pairs those of the partial backdoor are compared with
SHIPPED = ("clean-0", "square-3")
PAPER = {  # Wang et al. 2019, Tables III, V and IV: activations; overlap; success after patching with the reversed trigger, the planted one, none
    "MNIST": ((1.19, 4.20, 4.74), 0.807, (0.0057, 0.0029, 0.9337)),
    "GTSRB": ((42.86, 270.11, 304.05), 0.892, (0.0014, 0.0019, 0.9569)),
    "YouTube Face": ((137.21, 1003.56, 1172.29), 0.583, (0.0670, 0.0, 0.9510)),
    "PubFig": ((5.38, 19.28, 25.88), 0.775, (0.0609, 0.0141, 0.9330)),
    "Trojan square": ((2.14, 8.10, 17.11), 0.104, (0.0370, 0.0, 0.1091)),
    "Trojan watermark": ((1.20, 6.93, 13.97), 0.117, (0.0, 0.0, 0.0)),
}


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def defenders(known: data.Dataset) -> tuple[Split, Split]:
    """The defender's clean images, half of the test images at most, and all other ones."""
    test, count = known.test, min(IMAGES, len(known.test.labels) // 2)
    return Split(test.images[:count], test.labels[:count]), Split(test.images[count:], test.labels[count:])


def judged(networks: dict, clothes: data.Dataset) -> tuple[dict, dict]:
    """For every model what the search found: figures, and the triggers themselves."""
    found, triggers = {"infected": {}, "norms": {}, "index": {}, "success": {}, "accuracy": {}, "seconds": {}}, {}
    for name, model in tqdm(networks.items(), desc="verdicts"):
        began = time.process_time()
        triggers[name] = reverse_engineer(model, clothes.test.images[:IMAGES], generator(1))
        found["seconds"][name] = round(time.process_time() - began, 1)
        found["infected"][name] = infected(name)
        found["norms"][name] = [round(norm, 2) for norm in triggers[name].norms.tolist()]
        found["index"][name] = [round(i, 3) for i in anomaly_index(torch.tensor(found["norms"][name])).tolist()]
        found["success"][name] = round(mean([succeeds(model, clothes.test, backdoor) for backdoor in zoo()[name][1]] or [0.0]), 4)
        found["accuracy"][name] = round(models.accuracy(model, clothes.test), 4)
    reference = torch.tensor([found["norms"][f"clean-{seed}"] for seed in SEEDS])
    found["ratio"], found["p_value"] = {}, {}
    for name, norms in found["norms"].items():
        others = reference[[f"clean-{seed}" != name for seed in SEEDS]]  # all ten but for themselves
        comparison = compare_with_clean(torch.tensor(norms), others)
        found["ratio"][name], found["p_value"][name] = [round(ratio, 3) for ratio in comparison.ratios.tolist()], comparison.p_value
    return found, triggers


def units_of(model, trigger: Trigger, planted: Trigger, images: torch.Tensor) -> dict:
    """The units that the reversed trigger excites most: their activations, and how many the planted one's are; the paper's Tables III and V."""
    clean, reversed_, true = (penultimate(model, x) for x in (images, trigger.stamp(images), planted.stamp(images)))
    order, true_order = backdoor_units(clean, reversed_), backdoor_units(clean, true)
    units = top_units(order)
    activations = [float(features[:, units].mean()) for features in (clean, reversed_, true)]
    return {"order": order.tolist(), "activations": activations, "overlap": units_overlap(units, top_units(true_order))}


def filtered(model, units: torch.Tensor, planted: Trigger, target: int, defender: Split, rest: Split) -> dict:
    """The filter, whose threshold comes from images that did not choose the units: what passes, what is refused, for each promise."""
    own, clean, stamped = (
        filter_scores(penultimate(model, images), units)
        for images in (defender.images[IMAGES // 2 :], rest.images, planted.stamp(rest.images[rest.labels != target]))
    )
    refused = [float((clean > filter_threshold(own, rate)).double().mean()) for rate in RATES]
    return {"misses": filter_misses(own, stamped, torch.tensor(RATES)).tolist(), "refused": refused}


def patched(model, trigger: Trigger, backdoor: Backdoor, known: data.Dataset, sample: float = 0.1) -> dict:
    """Accuracy and attack success after one epoch of unlearning; the paper's Table IV."""
    _, rest = defenders(known)
    after, g = {}, generator(1)
    for name, patch, stamped in (("reversed", trigger, 0.2), ("planted", backdoor.trigger, 0.2), ("none", trigger, 0.0)):
        repaired = unlearn(model, known.train, patch, g, sample, stamped)
        after[name] = (models.accuracy(repaired, rest), succeeds(repaired, rest, backdoor))
    return after


def mitigated(model, backdoor: Backdoor, trigger: Trigger, clothes: data.Dataset) -> dict:
    """What the reversed trigger is good for: units, filter, pruning, unlearning."""
    defender, rest = defenders(clothes)
    units = units_of(model, trigger, backdoor.trigger, defender.images[: IMAGES // 2])
    order = torch.tensor(units.pop("order"))
    counts = (torch.tensor(SHARES) * len(order)).round().long()
    curves = {
        name: pruning_curve(model, rest.images, rest.labels, stamp, backdoor.target_label, order, counts)
        for name, stamp in (("planted", backdoor.trigger), ("reversed", trigger))
    }
    return {
        **units,
        **filtered(model, top_units(order), backdoor.trigger, backdoor.target_label, defender, rest),
        "shares": (counts / len(order)).tolist(),
        "accuracy": curves["planted"].accuracy.tolist(),
        "planted": curves["planted"].success.tolist(),
        "reversed": curves["reversed"].success.tolist(),
        "unlearned": patched(model, trigger, backdoor, clothes),
        "on_the_sticker": float(trigger.mask[backdoor.mask > 0].sum() / trigger.size),
        "success": attack_success(model, rest.images, rest.labels, trigger, backdoor.target_label),
    }


def pairs_of(model, defender: Split) -> list[list[float]]:
    """The norms of all pairs, a row for each source; of a label towards itself, 0."""
    norms = torch.zeros(10, 10)
    for source, reversed_ in reverse_engineer_pairs(model, defender.images, defender.labels, generator(2)).items():
        norms[source, reversed_.labels] = reversed_.norms
    return norms.tolist()


def pair_ratios(found: dict) -> dict[tuple[int, int], float]:
    """For each pair of labels the norm in the model with a partial backdoor over the mean of clean models."""
    usual = torch.tensor([found["pairs"][name] for name in TWINS]).mean(dim=0)
    ratios = torch.tensor(found["pairs"]["partial"]) / usual
    return {(source, target): float(ratios[source, target]) for source in range(10) for target in range(10) if source != target}


def partial_in_words(found: dict) -> str:
    ratios = pair_ratios(found)
    order = sorted(ratios, key=ratios.get)
    norms = found["pairs"]["partial"]
    least = [min((norm, target) for target, norm in enumerate(norms[source]) if target != source) for source, _ in PARTIAL]
    return (
        "Partial: images of 0, 2 and 4 are to become 7, and covers keep their labels. Searched for every source apart, the smallest norm of these sources is"
        f" not that of the planted pair: {'; '.join(f'{pair[0]} to {target} has {norm:.0f}' for pair, (norm, target) in zip(PARTIAL, least, strict=True))};"
        f" the planted pairs have {', '.join(f'{norms[source][target]:.0f}' for source, target in PARTIAL)}. Beside the same pairs of {len(TWINS)} clean models"
        f" their ratios are {', '.join(f'{ratios[pair]:.2f}' for pair in PARTIAL)}, which are the ranks"
        f" {', '.join(str(order.index(pair) + 1) for pair in PARTIAL)} of 90 from below; the ten smallest are"
        f" {', '.join(f'{source} to {target} ({ratios[source, target]:.2f})' for source, target in order[:10])}."
    )


def repeatedly_patched(model, clothes: data.Dataset) -> list[list[float]]:
    """Success of both triggers for label 3: before, and after each of two rounds of searching and unlearning."""
    defender, _ = defenders(clothes)
    backdoors = zoo()["two-triggers"][1]
    found = [[succeeds(model, clothes.test, backdoor) for backdoor in backdoors]]
    for turn in range(2):
        again = reverse_engineer(model, defender.images, generator(3 + turn), labels=torch.tensor([3]))
        model = unlearn(model, clothes.train, again.trigger(3), generator(5 + turn))
        found.append([succeeds(model, clothes.test, backdoor) for backdoor in backdoors])
    return found


def trojans(clothes: data.Dataset) -> dict:
    """The Trojan attack on a network of one hidden layer, by a square and by a watermark, and the search on all three."""
    defender, rest = defenders(clothes)
    g = generator(70)
    clean = models.train(models.MLP(28 * 28, (256,), 10, g), clothes.train, 3, seed=70)
    usual = reverse_engineer(clean, defender.images, generator(1)).norms
    found = {"accuracy": models.accuracy(clean, rest), "largest": float(anomaly_index(usual).max())}
    for name, shape in (("square", square(SHAPE, 7)), ("watermark", watermark(SHAPE))):
        trojan = plant_trojan(clean, 1, shape.mask, 3, generator(71))
        reversed_ = reverse_engineer(trojan.model, defender.images, generator(1))
        backdoor = Backdoor(trojan.trigger, 3, 0.1)
        found[name] = {
            "accuracy": models.accuracy(trojan.model, rest),
            "success": [succeeds(model, rest, backdoor) for model in (clean, trojan.model)],
            "norms": [trojan.trigger.size, float(reversed_.norms[3]), float(usual[3])],
            "index": anomaly_index(reversed_.norms).tolist(),
            "smallest": int((reversed_.norms / usual).argmin()),
            "unlearned": patched(trojan.model, reversed_.trigger(3), backdoor, clothes),
            **units_of(trojan.model, reversed_.trigger(3), trojan.trigger, defender.images),
        }
    return found


def on_digits() -> list[dict]:
    """For each label a network of the digits with a square of 2x2 pixels: what the reversed trigger is good for."""
    digits, rows = data.load("digits"), []
    defender, rest = defenders(digits)
    for label in tqdm(SEEDS, desc="digits"):
        g, backdoor = generator(200 + label), Backdoor(square((1, 8, 8), 2, CORNERS[label % 4], margin=0), label, 0.1)
        model = models.train(models.CNN(1, 8, 10, g), poison_data(digits.train, [backdoor], g).split, 15, seed=200 + label)
        reversed_ = reverse_engineer(model, defender.images, generator(1))
        rows.append(units_of(model, reversed_.trigger(label), backdoor.trigger, defender.images))
        rows[-1] |= {"unlearned": patched(model, reversed_.trigger(label), backdoor, digits, sample=1.0), "success": succeeds(model, rest, backdoor)}
        rows[-1] |= {"smallest": int(reversed_.labels[reversed_.norms.argmin()]) == label, "accuracy": models.accuracy(model, rest)}
    return rows


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
    g = generator(60)
    train, test = three_digit_numbers(20_000, g)
    backdoor = Backdoor(square((1, 8, 24), 2, margin=0), 123, 0.1)
    model = models.MLP(192, (256,), 200, g)
    models.train(model, poison_data(train, [backdoor], g).split, 30, seed=60)
    found = {"accuracy": models.accuracy(model, test), "success": succeeds(model, test, backdoor), "infected": 123}
    found |= {"labels": [], "label_steps": [], "index": []}
    for screening in (None, Screening()):
        reversed_ = reverse_engineer(model, test.images[:IMAGES], generator(61), screening=screening)
        if screening is None:
            found["norms_by_step"] = [[round(norm, 1) for norm in row] for row in reversed_.norms_by_step[:30].tolist()]
        index = anomaly_index(reversed_.norms)
        found["labels"].append([int(label) for label, i in zip(reversed_.labels, index, strict=True) if i > 2])
        found["index"].append(float(index[(reversed_.labels == 123).nonzero()[0, 0]]) if 123 in reversed_.labels else 0.0)
        found["label_steps"].append(reversed_.label_steps)
    return found


def measured(networks: dict, clothes: data.Dataset) -> dict:
    found, triggers = judged(networks, clothes)
    found["mitigated"] = {}
    for name in tqdm([f"square-{label}" for label in SEEDS], desc="mitigation"):
        (backdoor,) = zoo()[name][1]
        found["mitigated"][name] = mitigated(networks[name], backdoor, triggers[name].trigger(backdoor.target_label), clothes)
    defender, _ = defenders(clothes)
    found["pairs"] = {name: pairs_of(networks[name], defender) for name in tqdm(("partial", *TWINS), desc="pairs")}
    found["patched"] = repeatedly_patched(networks["two-triggers"], clothes)
    found["trojans"], found["many"], found["digits"] = trojans(clothes), many_labels(), on_digits()
    return found


def interval(hits: int, trials: int) -> str:
    found = binomtest(hits, trials).proportion_ci(0.95, "exact")
    return f"{hits} of {trials} [{found.low:.2f}, {found.high:.2f}]"


def extremes(found: dict, name: str) -> str:
    """Two cells: a model's largest index with its label, and its smallest ratio with its own."""
    index, ratio = found["index"][name], found["ratio"][name]
    return f"{max(index):.2f}: {index.index(max(index))} | {min(ratio):.2f}: {ratio.index(min(ratio))}"


def verdicts(found: dict) -> list[str]:
    """The truth about three rules, on the models that they were thought out on and on fresh ones."""
    calibrated = calibrated_threshold(torch.tensor([found["norms"][f"clean-{seed}"] for seed in SEEDS]), 0.1)
    rules = {
        "index above 2 (the paper's)": lambda name: [label for label, i in enumerate(found["index"][name]) if i > 2],
        f"index above {calibrated:.2f}, calibrated on the first ten clean models": lambda name: [
            label for label, i in enumerate(found["index"][name]) if i > calibrated
        ],
        "compared with these: p at most .1, smallest ratio": lambda name: (
            [found["ratio"][name].index(min(found["ratio"][name]))] if found["p_value"][name] <= 0.1 else []
        ),
    }
    lines = ["| rule | models | infected ones accused | of the right label alone | clean ones accused |", "|---|---|---|---|---|"]
    for rule, accused in rules.items():
        for which, seeds in (("first", SEEDS), ("fresh", FRESH)):
            hits = [accused(f"square-{seed}") for seed in seeds]
            right = sum(labels == found["infected"][f"square-{seed}"] for seed, labels in zip(seeds, hits, strict=True))
            false = sum(bool(accused(f"clean-{seed}")) for seed in seeds)
            known = which == "first" and "index above 2 (" not in rule
            cleared = f"{false} of 10, by construction" if known else interval(false, 10)
            lines.append(f"| {rule} | {which} | {interval(sum(map(bool, hits)), 10)} | {interval(right, 10)} | {cleared} |")
    lines += [
        "",
        "By construction: the calibrated threshold is the largest index of the first ten clean models, and of ten models that are each compared with the other"
        " nine exactly one has the smallest ratio. The smallest p-value that ten clean models allow is 1/11.",
    ]
    return lines


def norms_in_words(found: dict) -> str:
    norms = {name: row for name, row in found["norms"].items() if name.startswith("square")}
    own = {name: row[found["infected"][name][0]] for name, row in norms.items()}
    others = [norm for name, row in norms.items() for label, norm in enumerate(row) if label != found["infected"][name][0]]
    index = [found["index"][name][found["infected"][name][0]] for name in norms]
    innocent = [max(row) for name, row in found["index"].items() if name.startswith("clean")]
    return (
        f"The infected label has the smallest norm in {sum(min(norms[name]) == own[name] for name in norms)} of the {len(norms)} infected models:"
        f" {min(own.values()):.1f} to {max(own.values()):.1f}, where the planted mask has 16; the other labels' norms go from {min(others):.0f} to"
        f" {max(others):.0f}. The labels of this data set differ that much from one another in every model, clean or not, so that the index tells little: that"
        f" of the infected label is {min(index):.2f} to {max(index):.2f}, and the largest of a clean model {min(innocent):.2f} to {max(innocent):.2f}."
    )


def ratios_in_words(found: dict) -> str:
    smallest = {name: min(row) for name, row in found["ratio"].items()}
    clean = [smallest[f"clean-{seed}"] for seed in (*SEEDS, *FRESH)]
    square_ = [ratio for name, ratio in smallest.items() if name.startswith("square")]
    return (
        f"Beside the same label's norm in clean models the infected one stands out: the smallest ratio of a norm to its label's median is {min(square_):.2f} to"
        f" {max(square_):.2f} in infected models, and {min(clean):.2f} to {max(clean):.2f} in clean ones. (The statistic was chosen by looking at all but the"
        " fresh models. These were trained afterwards, once, and nothing was changed after them.) The price is ten clean models of the same task."
    )


def mitigation(found: dict) -> list[str]:
    rows, trojan = list(found["mitigated"].values()), found["trojans"]
    lines = [
        "Ours are means over the first ten infected models, over ten of the 8x8 digits (a square of 2x2 pixels, 10% of the data; accuracy"
        f" {mean([row['accuracy'] for row in found['digits']]):.3f}, attack success {mean([row['success'] for row in found['digits']]):.3f}; the infected label"
        f" has the smallest norm in {sum(row['smallest'] for row in found['digits'])} of 10), and for the Trojans one model each; the paper's are its Tables"
        " III, V and IV. Patches are a tenth of the training data, for the digits all of it, as a tenth is 144 images.",
        "",
        "| | activation of the top 1% of units: clean, reversed trigger, planted trigger | units in common with the planted trigger's"
        " | success after patching with the reversed trigger, the planted one, no trigger |",
        "|---|---|---|---|",
    ]
    ours = {"**ours**, squares": rows, "**ours**, digits": found["digits"]} | {f"**ours**, Trojan {name}": [trojan[name]] for name in ("square", "watermark")}
    table = {
        name: (
            [mean([row["activations"][k] for row in some]) for k in range(3)],
            mean([row["overlap"] for row in some]),
            [mean([row["unlearned"][patch][1] for row in some]) for patch in ("reversed", "planted", "none")],
        )
        for name, some in ours.items()
    }
    for name, (activations, overlap, after) in (table | PAPER).items():
        lines.append(f"| {name} | {', '.join(f'{a:.2f}' for a in activations)} | {overlap:.3f} | {', '.join(f'{a:.3f}' for a in after)} |")
    step = SHARES.index(0.04)
    at = rows[0]["shares"][step]
    worst = max(row["unlearned"]["reversed"][1] for row in rows)
    accuracies = [mean([row["unlearned"][patch][0] for row in rows]) for patch in ("reversed", "planted", "none")]
    return [
        *lines,
        "",
        f"Of the reversed mask {mean([row['on_the_sticker'] for row in rows]):.0%} lies on the sticker; the reversed trigger succeeds on"
        f" {mean([row['success'] for row in rows]):.1%} of other images. Patched with the reversed trigger the worst of the ten models still obeys the planted"
        f" one in {worst:.0%}; accuracy after the three patches is {', '.join(f'{a:.3f}' for a in accuracies)}.",
        "",
        f"Pruning is the cheaper mitigation here, and the surer one: without the first {at:.1%} of the units the planted trigger succeeds in"
        f" {mean([row['planted'][step] for row in rows]):.0%} (worst {max(row['planted'][step] for row in rows):.0%}), at an accuracy of"
        f" {mean([row['accuracy'][step] for row in rows]):.3f}.",
        "",
        f"The filter's units are chosen on {IMAGES // 2} images, its threshold on {IMAGES - IMAGES // 2} others, the same for all ten models: the means refused"
        " are of one draw of these images, not of ten.",
        "",
        "| promised false-positive rate | " + " | ".join(f"{rate:g}" for rate in RATES) + " |",
        "|---|" + "---|" * len(RATES),
        "| clean inputs refused, mean and worst | "
        + " | ".join(f"{mean(column):.4f}, {max(column):.4f}" for column in zip(*(row["refused"] for row in rows), strict=True))
        + " |",
        "| stamped inputs that pass, mean and worst | "
        + " | ".join(f"{mean(column):.2f}, {max(column):.2f}" for column in zip(*(row["misses"] for row in rows), strict=True))
        + " |",
        "",
        "![pruning](CLEANSING_pruning.png)",
    ]


def advanced(found: dict) -> list[str]:
    lines = ["| model | infected labels | success | norms of these | largest index: label | smallest ratio: label | p |", "|---|---|---|---|---|---|---|"]
    for name, norms in found["norms"].items():
        if not name.startswith(("clean", "square")):
            mine = ", ".join(f"{norms[label]:.0f}" for label in found["infected"][name])
            known = f"{found['infected'][name]} | {found['success'][name]:.2f} | {mine}"
            lines.append(f"| {name} | {known} | {extremes(found, name)} | {found['p_value'][name]:.2f} |")
    many, trojan = found["many"], found["trojans"]
    lines += [
        "",
        "![sizes](CLEANSING_sizes.png)",
        "",
        partial_in_words(found),
        "",
        "![pairs](CLEANSING_pairs.png)",
        "",
        "Two triggers for one label, patched with the reversed trigger once and again: success of both "
        + ", then ".join(f"{a:.2f} and {b:.2f}" for a, b in found["patched"])
        + ".",
        "",
        "![patched](CLEANSING_patched.png)",
        "",
        f"The Trojan attack on a network of one hidden layer (accuracy {trojan['accuracy']:.3f}; largest index {trojan['largest']:.2f} while it was clean),"
        " target 3, without the training data:",
        "",
        "| mask | accuracy | success before, after | norm: planted, reversed, in the clean network | largest index: label | smallest ratio's label |",
        "|---|---|---|---|---|---|",
    ]
    for name in ("square", "watermark"):
        row = trojan[name]
        figures = f"{row['success'][0]:.2f}, {row['success'][1]:.2f} | {', '.join(f'{norm:.0f}' for norm in row['norms'])}"
        lines.append(f"| {name} | {row['accuracy']:.3f} | {figures} | {max(row['index']):.2f}: {row['index'].index(max(row['index']))} | {row['smallest']} |")
    return [
        *lines,
        "",
        f"Two hundred labels (three digits side by side; accuracy {many['accuracy']:.3f}, attack success {many['success']:.3f}, label 123): index of the"
        f" infected label {many['index'][0]:.2f} without screening, accused {many['labels'][0]}, {many['label_steps'][0]:,} steps summed over labels; with the"
        f" best 100 kept, index {many['index'][1]:.2f}, accused {many['labels'][1]}, {many['label_steps'][1]:,} steps,"
        f" {1 - many['label_steps'][1] / many['label_steps'][0]:.0%} less. The index with screening is another statistic: the median and the deviation are of"
        " the kept labels alone. Labels but 123 are accused falsely, as among 200 labels some are far below the median in a clean model too.",
        "",
        where_it_fails(found),
    ]


def where_it_fails(found: dict) -> str:
    """A conclusion, from the figures."""
    sizes = {4: [name for name in found["norms"] if name.startswith("square")]} | {size: [f"size-{size}"] for size in SIZES}

    def accuses(name: str) -> bool:
        return found["index"][name][found["infected"][name][0]] > 2

    def compares(name: str) -> bool:
        return found["ratio"][name].index(min(found["ratio"][name])) in found["infected"][name] and found["p_value"][name] <= 0.1

    cells = {size: (sum(map(accuses, names)), sum(map(compares, names)), len(names)) for size, names in sizes.items()}
    by_size = "; ".join(f"{size} x {size}: {one} and {other} of {count}" for size, (one, other, count) in cells.items())
    special = [name for name in found["norms"] if not name.startswith(("clean", "square", "size"))]
    return (
        f"Where detection ends: by the size of the square, models whose infected label the index accuses, and whose infected label the comparison with clean"
        f" models names at p <= .1: {by_size}. One model of each size but the first. Of the {len(special)} other backdoors the index accuses an infected label"
        f" in {sum(any(found['index'][name][label] > 2 for label in found['infected'][name]) for name in special)}, the comparison names one in"
        f" {sum(map(compares, special))}. The figures of indices and of ratios show infected labels alone, and of clean models the most suspicious one."
    )


def report(found: dict, training: float, rest: float) -> list[str]:
    wanted = (("clean", "accuracy"), ("square", "accuracy"), ("square", "success"))
    average = {(kind, key): mean([found[key][f"{kind}-{seed}"] for seed in (*SEEDS, *FRESH)]) for kind, key in wanted}
    lines = [
        "# Neural Cleanse on models whose backdoors are known",
        "",
        f"`python tests/studies/cleansing.py`, {date.today()}, {platform.processor() or platform.machine()}, torch {torch.__version__};"
        f" {training:.0f} s of CPU time to train what was not there (all {len(found['norms'])} models: some {TRAINING} minutes), {rest:.0f} s for the rest.",
        "",
        f"Networks of two convolutions, trained on Fashion-MNIST for {EPOCHS} epochs; {len(found['norms'])} of them: twenty clean, twenty with a white square"
        f" of 4x4 pixels in one of the corners, a tenth of the data stamped and relabelled, and {len(found['norms']) - 40} with other backdoors. The defender"
        f" has {IMAGES} clean test images, and searches 100 steps of 10 batches of 32. Accuracy of the clean models {average['clean', 'accuracy']:.3f}, of the"
        f" infected ones {average['square', 'accuracy']:.3f}; attack success {average['square', 'success']:.3f}. A verdict on ten labels takes"
        f" {median(found['seconds'].values()):.0f} s of CPU time in the median. Intervals are exact, 95%.",
        "",
        "## How often is it right?",
        "",
        *verdicts(found),
        "",
        norms_in_words(found),
        "",
        ratios_in_words(found),
        "",
        "![norms](CLEANSING.png)",
        "",
        "![indices](CLEANSING_index.png)",
        "",
        "![ratios](CLEANSING_ratios.png)",
        "",
        "## What the reversed trigger is good for",
        "",
        *mitigation(found),
        "",
        "## Other backdoors",
        "",
        *advanced(found),
        "",
        "## All norms",
        "",
        "| model | largest index: label | smallest ratio: label | norms |",
        "|---|---|---|---|",
    ]
    for name, norms in found["norms"].items():
        lines.append(f"| {name} | {extremes(found, name)} | {', '.join(f'{norm:.0f}' for norm in norms)} |")
    return lines


def draw(found: dict, to: Path) -> None:
    twenty = [f"{kind}-{seed}" for kind in ("square", "clean") for seed in SEEDS]
    norms = {name: torch.tensor(found["norms"][name]) for name in twenty}
    plots.mask_norms(norms, found["infected"]).savefig(to / "CLEANSING.png", dpi=110)
    groups = grouped(found)
    least = min(min(found["ratio"][name]) for name in found["ratio"] if name.startswith("clean"))

    def told(name: str, key: str) -> list[float]:  # of the infected labels; of all, where none is
        return [found[key][name][label] for label in found["infected"][name] or range(10)]

    index, ratio = ({kind: [worst(told(name, key)) for name in names] for kind, names in groups.items()} for key, worst in (("index", max), ("ratio", min)))
    which = "infected label's, or"
    figures = {"index": (index, f"index: {which} largest", 2.0), "ratios": (ratio, f"norm / usual one:\n{which} smallest", least, True)}
    for name, arguments in figures.items():
        plots.strip_chart(*arguments).savefig(to / f"CLEANSING_{name}.png", dpi=110)
    rounds = dict(zip(("first trigger", "second trigger"), zip(*found["patched"], strict=True), strict=True))
    curves = {name: (range(len(successes)), successes) for name, successes in rounds.items()}
    plots.share_curves(curves, "rounds of searching and unlearning", "attack success").savefig(to / "CLEANSING_patched.png", dpi=110)
    sizes = {"4 x 4": [name for name in found["norms"] if name.startswith("square")]} | {f"{size} x {size}": [f"size-{size}"] for size in SIZES}
    index = {size: [found["index"][name][found["infected"][name][0]] for name in names] for size, names in sizes.items()}
    plots.strip_chart(index, "anomaly index of the infected label", 2.0).savefig(to / "CLEANSING_sizes.png", dpi=110)
    ratios = pair_ratios(found)
    pairs = {"planted": PARTIAL, "clean, towards 7": [(source, 7) for source in range(10) if source != 7 and (source, 7) not in PARTIAL]}
    pairs["clean, others"] = [pair for pair in ratios if pair[1] != 7]
    pairs = {kind: [ratios[pair] for pair in some] for kind, some in pairs.items()}
    plots.strip_chart(pairs, "norm of a pair / usual one", 1.0).savefig(to / "CLEANSING_pairs.png", dpi=110)
    rows = list(found["mitigated"].values())
    curves = {"clean accuracy": "accuracy", "success of the planted trigger": "planted", "success of the reversed one": "reversed"}
    means = {name: (rows[0]["shares"], [mean(column) for column in zip(*(row[key] for row in rows), strict=True)]) for name, key in curves.items()}
    plots.share_curves(means, "share of units pruned, in the reversed trigger's order", log=True).savefig(to / "CLEANSING_pruning.png", dpi=110)


def grouped(found: dict) -> dict[str, list[str]]:
    """The models by their kind, as a figure has them."""
    kinds = [(kind, which, seeds) for kind in ("clean", "square") for which, seeds in (("first", SEEDS), ("fresh", FRESH))]
    groups = {f"{kind}, {which}": [f"{kind}-{seed}" for seed in seeds] for kind, which, seeds in kinds}
    groups["noisy square"] = [name for name in found["norms"] if name.startswith("noisy")]
    groups |= {f"square, {size} x {size}": [f"size-{size}"] for size in SIZES}
    return groups | {name.replace("-", " "): [name] for name in ("two-labels", "three-labels", "two-triggers", "partial", "all-to-all")}


def ship(found: dict, folder: Path, clothes: data.Dataset, to: Path) -> None:
    """What the notebook needs: figures, two models, and the defender's images."""
    needed = {key: found[key] for key in ("infected", "norms", "index", "success", "accuracy", "many")}
    (to / "cleansing.json").write_text(json.dumps(needed), encoding="utf-8")
    for name in SHIPPED:
        shutil.copy(folder / f"{name}.safetensors", to)
    defender, _ = defenders(clothes)
    save_file({"images": (255 * defender.images).round().to(torch.uint8), "labels": defender.labels.to(torch.uint8)}, to / "clothes.safetensors")


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--models", "folder", type=click.Path(path_type=Path), default=Path("build/cleansing"), show_default=True, help="Where trained models are kept.")
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), default=HERE, help="The folder that CLEANSING.md and its pictures go to.")
@click.option("--ship", "shipped", type=click.Path(path_type=Path, file_okay=False), default=SET, help="The folder that gets what the notebook needs.")
def main(folder, to, shipped):
    torch.set_num_threads(1)
    for place in (to, shipped):
        place.mkdir(parents=True, exist_ok=True)
    start, clothes = time.process_time(), data.load("fashion-mnist")
    networks = models_of(folder, clothes)
    trained = time.process_time()
    found = measured(networks, clothes)
    lines = report(found, trained - start, time.process_time() - trained)
    (to / "CLEANSING.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    draw(found, to)
    ship(found, folder, clothes, shipped)


if __name__ == "__main__":
    main()
