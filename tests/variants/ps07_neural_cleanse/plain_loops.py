# image by image, unit by unit and label by label, with numbers of Python's and an attack of its own
import random
import statistics


def stamped_one(image, trigger):
    return (1 - trigger.mask) * image + trigger.mask * trigger.pattern


def shuffled(rows, g):
    rows = list(rows)
    random.Random(int(torch.randint(2**62, (), generator=g))).shuffle(rows)
    return rows


def poison(x, y, trigger, target, rate, g, sources=None):
    wanted = [int(target[label]) if torch.is_tensor(target) else target for label in y.tolist()]
    count, images, labels, index = round(rate * len(x)), list(x), y.tolist(), []
    attackers, others = [], []
    for row in shuffled(range(len(x)), g):
        label = labels[row]
        if sources is None and label != wanted[row] or sources is not None and label in sources:
            attackers.append(row)
        elif label != wanted[row]:
            others.append(row)
    covers = 0 if sources is None else count // 2
    for number in range(count):  # a cover in every other place, as long as there are any
        cover = number % 2 == 1 and number // 2 < covers
        row = (others if cover else attackers).pop()
        images.append(stamped_one(x[row], trigger))
        labels.append(labels[row] if cover else wanted[row])
        index.append(row)
    return torch.stack(images), torch.tensor(labels), torch.tensor(index, dtype=torch.int64)


def label_consistent(x, y, model, trigger, target, rate, epsilon, g):
    ours = [row for row, label in enumerate(y.tolist()) if label == target]
    index, changed = sorted(shuffled(ours, g)[: round(rate * len(ours))]), x.clone()
    for row in index:
        point = x[row].clone()
        for _ in range(ATTACK_STEPS):
            point.requires_grad_()
            loss = cross_entropy(model(point[None]), y[row : row + 1])
            (gradient,) = torch.autograd.grad(loss, point)
            moved = point.detach() + epsilon / 8 * gradient.sign()
            point = torch.minimum(torch.maximum(moved, x[row] - epsilon), x[row] + epsilon).clamp(0, 1)
        changed[row] = stamped_one(point, trigger)
    return changed, torch.tensor(index, dtype=torch.int64)


def collide(p, base, target_feature, features, beta, step):
    rows = []
    for i in range(len(p)):
        wanted = target_feature if target_feature.ndim == 1 else target_feature[i]
        rate = step.expand(p.shape[:1] + step.shape[1:])[i] if torch.is_tensor(step) else step
        image = p[i].detach().clone().requires_grad_()
        torch.autograd.backward(((features(image[None])[0] - wanted) ** 2).sum(), inputs=[image])
        rows.append((image.detach() - rate * image.grad + rate * beta * base[i]) / (1 + rate * beta))
    return torch.stack(rows)


def drive_unit(model, unit, mask, steps, step, channels=1):
    pattern = torch.zeros(channels, *mask.shape)
    pattern[:, mask > 0] = 0.5
    met = []
    for number in range(steps + 1):
        image = (mask * pattern).requires_grad_()
        score = model(image[None])[0, unit]
        met.append((score.item(), -number, pattern))
        (gradient,) = torch.autograd.grad(score, image)
        pattern = pattern + step * torch.sign(gradient) * (mask > 0)
        pattern = pattern.clamp(0, 1)
    return max(met, key=lambda one: one[:2])[2]


def cleanse_loss(model, x, masks, patterns, weights, labels=None):
    labels = range(len(masks)) if labels is None else labels.tolist()
    images = [(1 - mask) * image + mask * pattern for mask, pattern in zip(masks, patterns, strict=True) for image in x]
    answers, losses = model(torch.stack(images)), []
    for candidate, label in enumerate(labels):
        block = answers[candidate * len(x) : (candidate + 1) * len(x)]
        entropy = sum(row.logsumexp(dim=0) - row[label] for row in block) / len(x)
        losses.append(entropy + weights[candidate] * masks[candidate].abs().sum())
    return torch.stack(losses)


def update_weight(state, success):
    rows = []
    for weight, streak, raised, lowered, good in zip(
        *[part.tolist() for part in (state.weight, state.streak, state.raised, state.lowered, success)], strict=True
    ):
        streak = max(streak, 0) + 1 if good else min(streak, 0) - 1
        if streak == PATIENCE and weight == 0:
            weight, streak, raised, lowered = FIRST_WEIGHT, 1, False, False
        elif streak == PATIENCE:
            weight, streak, raised = weight * RAISE, 0, True
        elif streak == -PATIENCE:
            weight, streak, lowered = weight / LOWER, 0, True
        rows.append((weight, streak, raised, lowered))
    weight, streak, raised, lowered = zip(*rows, strict=True)
    return Schedule(torch.tensor(weight, dtype=torch.float64), torch.tensor(streak), torch.tensor(raised), torch.tensor(lowered))


def anomaly_index(norms):
    norms = norms.double().tolist()
    middle = statistics.median(norms)
    spread = 1.4826 * statistics.median(abs(norm - middle) for norm in norms)
    if spread == 0:
        raise ValueError("cannot tell: half of the norms are equal")
    return torch.tensor([(middle - norm) / spread if norm < middle else 0.0 for norm in norms], dtype=torch.float64)


def screen(norms_by_step, keep, overlap):
    before, labels = None, range(norms_by_step.shape[1])
    for norms in norms_by_step.tolist() if keep < len(labels) else []:
        now = sorted(labels, key=norms.__getitem__)[:keep]
        if before is not None and len(before & set(now)) > overlap:
            return torch.tensor(now)
        before = set(now)
    return torch.tensor(labels)


def backdoor_units(clean, stamped):
    gaps = [math.fsum(stamped[:, unit].tolist()) / len(stamped) - math.fsum(clean[:, unit].tolist()) / len(clean) for unit in range(clean.shape[1])]
    return torch.tensor(sorted(range(len(gaps)), key=lambda unit: -gaps[unit]))


def filter_threshold(clean_scores, false_positive):
    rank = math.floor(false_positive * (len(clean_scores) + 1))
    return sorted(clean_scores.tolist())[-rank] if rank else math.inf


def unlearning_set(x, y, trigger, sample, stamped, g):
    rows = shuffled(range(len(x)), g)[: round(sample * len(x))]
    part = round(stamped * len(rows))
    images = [stamped_one(x[row], trigger) if number < part else x[row] for number, row in enumerate(rows)]
    return torch.stack(images), torch.tensor([int(y[row]) for row in rows])
