# one label, candidate, unit, image and step at a time, in Python's loops and numbers; the model is still asked once about all candidates
import math
import statistics


def _stamp(image, mask, pattern):
    return torch.stack([plane - mask * plane + mask * colour for plane, colour in zip(image, pattern, strict=True)])


def _some(rows, count, g):
    """So many of the rows, one drawn after the other."""
    rows, taken = list(rows), []
    for _ in range(count):
        taken.append(rows.pop(int(torch.randint(len(rows), (), generator=g))))
    return taken


def poison(x, y, trigger, target, rate, g, sources=None):
    labels, count = y.tolist(), round(rate * len(y))
    wanted = [int(target[label]) if isinstance(target, torch.Tensor) else int(target) for label in labels]
    rows = [row for row, label in enumerate(labels) if wanted[row] != label]
    of_sources = [row for row in rows if sources is None or labels[row] in sources]
    chosen = _some(of_sources, count if sources is None else count - count // 2, g)
    covers = [] if sources is None else _some([row for row in rows if labels[row] not in sources], count // 2, g)
    images, said = list(x), list(labels)
    for row in chosen + covers:
        images.append(_stamp(x[row], trigger.mask, trigger.pattern))
        said.append(labels[row] if row in covers else wanted[row])
    return torch.stack(images), torch.tensor(said), torch.tensor(chosen + covers, dtype=torch.int64)


def label_consistent(x, y, model, trigger, target, rate, epsilon, g):
    rows = [row for row, label in enumerate(y.tolist()) if label == target]
    index, images = _some(rows, round(rate * len(rows)), g), list(x)
    for row in index:
        hardened = projected_gradient(model, x[row : row + 1], y[row : row + 1], epsilon, ATTACK_STEPS, norm=math.inf, bounds=(0.0, 1.0))
        images[row] = trigger.stamp(hardened)[0]
    return torch.stack(images), torch.tensor(index, dtype=torch.int64)


def collide(p, base, target_feature, features, beta, step):
    steps = torch.as_tensor(step, dtype=p.dtype).broadcast_to(p.shape)
    rows = []
    for row in range(len(p)):
        wanted = target_feature if target_feature.ndim == 1 else target_feature[row]
        variable = p[row : row + 1].clone().requires_grad_()
        ((features(variable)[0] - wanted) ** 2).sum().backward()
        rows.append((p[row] - steps[row] * variable.grad[0] + steps[row] * beta * base[row]) / (1 + steps[row] * beta))
    return torch.stack(rows)


def drive_unit(model, unit, mask, steps, step, channels=1):
    grey = torch.where(mask > 0, 0.5, 0.0)
    pattern, met = torch.stack([grey] * channels), []
    for number in range(steps + 1):
        variable = pattern.clone().requires_grad_()
        excited = model((variable * mask)[None])[0, unit]
        met.append((excited.item(), -number, pattern))
        excited.backward()
        moved = (pattern + step * variable.grad.sign()).clamp(0, 1)
        pattern = torch.where(mask > 0, moved, pattern)
    return max(met, key=lambda one: one[:2])[2]


def cleanse_loss(model, x, masks, patterns, weights, labels=None):
    stamped = [_stamp(image, mask, pattern) for mask, pattern in zip(masks, patterns, strict=True) for image in x]
    logits, losses = model(torch.stack(stamped)), []
    for candidate, block in enumerate(logits.split(len(x))):
        label = candidate if labels is None else int(labels[candidate])
        entropy = sum(row.logsumexp(dim=0) - row[label] for row in block) / len(x)
        losses.append(entropy + weights[candidate] * sum(row.sum() for row in masks[candidate]))
    return torch.stack(losses)


def update_weight(state, success):
    stand = [[], [], [], []]
    for weight, streak, raised, lowered, reached in zip(*(part.tolist() for part in vars(state).values()), success.tolist(), strict=True):
        streak = max(streak, 0) + 1 if reached else min(streak, 0) - 1
        if streak == PATIENCE and weight == 0:
            weight, streak, raised, lowered = FIRST_WEIGHT, 1, False, False
        elif streak == PATIENCE:
            weight, streak, raised = RAISE * weight, 0, True
        elif streak == -PATIENCE and weight > 0:
            weight, streak, lowered = weight / LOWER, 0, True
        for part, value in zip(stand, (weight, streak, raised, lowered), strict=True):
            part.append(value)
    return Schedule(torch.tensor(stand[0], dtype=torch.float64), *map(torch.tensor, stand[1:]))


def anomaly_index(norms):
    values = norms.tolist()
    middle = statistics.median(values)
    spread = 1.4826 * statistics.median([abs(value - middle) for value in values])
    return torch.tensor([(middle - value) / spread if value < middle else 0.0 for value in values])


def screen(norms_by_step, keep, overlap):
    labels, before = range(norms_by_step.shape[1]), None
    for row in norms_by_step.tolist():
        now = sorted(labels, key=lambda label, row=row: row[label])[:keep]
        if before is not None and len(before.intersection(now)) >= overlap + 1:
            return torch.tensor(now)
        before = set(now)
    return torch.tensor(list(labels))


def backdoor_units(clean, stamped):
    gaps = [sum(after) / len(after) - sum(before) / len(before) for after, before in zip(stamped.T.tolist(), clean.T.tolist(), strict=True)]
    return torch.tensor(sorted(range(len(gaps)), key=lambda unit: -gaps[unit]))


def filter_threshold(clean_scores, false_positive):
    scores, allowed = sorted(clean_scores.tolist(), reverse=True), 0
    while allowed + 1 <= false_positive * (len(scores) + 1):
        allowed += 1
    return scores[allowed - 1] if allowed else float("inf")


def unlearning_set(x, y, trigger, sample, stamped, g):
    index = _some(range(len(x)), round(sample * len(x)), g)
    part = round(stamped * len(index))
    images = [trigger.stamp(x[row][None])[0] if place < part else x[row] for place, row in enumerate(index)]
    return torch.stack(images), torch.tensor([int(y[row]) for row in index])
