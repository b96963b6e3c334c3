# numpy's algebra, sorts and draws wherever no gradient is wanted; Moreau's form of the proximal step; sigmoids of differences for the cross-entropy
import numpy as np


def _numpy(g):
    return np.random.default_rng(torch.randint(2**31, (4,), generator=g).tolist())


def poison(x, y, trigger, target, rate, g, sources=None):
    rng, labels = _numpy(g), y.numpy()
    wanted = np.asarray(target)[labels] if isinstance(target, torch.Tensor) else np.full(len(labels), target)
    count, others = round(rate * len(labels)), wanted != labels
    attacked = others if sources is None else np.isin(labels, list(sources))
    covers = 0 if sources is None else count // 2
    covering = rng.choice(np.flatnonzero(others & ~attacked), covers, replace=False) if covers else np.zeros(0, dtype=np.int64)
    index = np.concatenate([covering, rng.choice(np.flatnonzero(attacked), count - covers, replace=False) if count else covering])  # covers first
    mask, pattern = trigger.mask.numpy(), trigger.pattern.numpy()
    copies = x.numpy()[index] * (1 - mask) + mask * pattern
    made = np.where(attacked[index], wanted[index], labels[index])
    return torch.from_numpy(np.concatenate([x.numpy(), copies])), torch.from_numpy(np.concatenate([labels, made])), torch.from_numpy(index)


def label_consistent(x, y, model, trigger, target, rate, epsilon, g):
    rows = np.flatnonzero(y.numpy() == target)
    index = torch.from_numpy(np.sort(_numpy(g).permutation(rows)[: round(rate * len(rows))]))
    found = x.numpy().copy()
    if len(index):
        hardened = projected_gradient(model, x[index], y[index], epsilon, ATTACK_STEPS, norm=np.inf, bounds=(0.0, 1.0)).numpy()
        mask = trigger.mask.numpy()
        found[index.numpy()] = hardened + mask * (trigger.pattern.numpy() - hardened)
    return torch.from_numpy(found), index


def collide(p, base, target_feature, features, beta, step):
    variable = p.clone().requires_grad_(True)
    distance = torch.linalg.vector_norm(features(variable) - target_feature, dim=1).square()
    distance.backward(torch.ones_like(distance))
    forward = p.numpy() - np.asarray(step) * variable.grad.numpy()
    share = np.asarray(step) * beta / (1 + np.asarray(step) * beta)
    return torch.from_numpy(((1 - share) * forward + share * base.numpy()).astype(p.numpy().dtype))


def drive_unit(model, unit, mask, steps, step, channels=1):
    under = np.broadcast_to(mask.numpy() > 0, (channels, *mask.shape))
    pattern, best, most = np.where(under, 0.5, 0.0).astype(np.float32), None, -np.inf
    for _ in range(steps + 1):
        image = torch.from_numpy(pattern[None]).requires_grad_()
        excited = model(mask * image)[0, unit]
        if excited.item() > most:
            best, most = pattern.copy(), excited.item()
        (slope,) = torch.autograd.grad(excited, image)
        pattern = np.clip(pattern + np.float32(step) * np.sign(slope[0].numpy()) * under, 0, 1).astype(np.float32)
    return torch.from_numpy(best)


def cleanse_loss(model, x, masks, patterns, weights, labels=None):
    candidates, b = len(masks), len(x)
    blocks = x.unsqueeze(0) + masks[:, None, None] * (patterns.unsqueeze(1) - x)
    answers = model(blocks.reshape(candidates * b, *x.shape[1:])).reshape(candidates, b, -1)
    wanted = torch.from_numpy(np.arange(candidates)) if labels is None else labels
    own = answers[torch.arange(candidates), :, wanted]
    return torch.logsumexp(answers - own[..., None], dim=2).mean(dim=1) + weights * torch.einsum("lhw->l", masks)


def update_weight(state, success):
    weight, streak, success = state.weight.numpy(), state.streak.numpy(), success.numpy()
    raised, lowered = state.raised.numpy().copy(), state.lowered.numpy().copy()
    streak = np.where(success == (streak > 0), streak, 0) + np.where(success, 1, -1)
    started = weight > 0
    up, down, first = started & (streak == PATIENCE), started & (streak == -PATIENCE), ~started & (streak == PATIENCE)
    exponent = 1.0 * up - 1.5 * down
    weight = np.where(first, FIRST_WEIGHT, weight * np.exp2(exponent))
    raised[up], lowered[down] = True, True
    raised[first], lowered[first] = False, False
    streak[up | down] = 0
    streak[first] = 1
    streak = np.maximum(streak, -PATIENCE)
    return Schedule(*(torch.from_numpy(part) for part in (weight, streak, raised, lowered)))


def anomaly_index(norms):
    norms = norms.numpy()
    away = np.median(norms) - norms
    return torch.from_numpy(np.maximum(away, 0) / (np.median(np.abs(away)) * 1.4826))


def screen(norms_by_step, keep, overlap):
    ranks = norms_by_step.numpy().argsort(axis=1).argsort(axis=1)
    common = ((ranks[1:] < keep) & (ranks[:-1] < keep)).sum(axis=1)
    steps = np.flatnonzero(common > overlap)
    if len(steps) == 0:
        return torch.from_numpy(np.arange(ranks.shape[1]))
    return torch.from_numpy(np.argsort(norms_by_step.numpy()[steps[0] + 1])[:keep])


def backdoor_units(clean, stamped):
    gaps = clean.numpy().mean(axis=0) - stamped.numpy().mean(axis=0)
    return torch.from_numpy(np.argsort(gaps, kind="stable"))


def filter_threshold(clean_scores, false_positive):
    allowed = int(false_positive * (len(clean_scores) + 1))
    if allowed == 0:
        return np.inf
    place = len(clean_scores) - allowed
    return np.partition(clean_scores.numpy(), place)[place]


def unlearning_set(x, y, trigger, sample, stamped, g):
    index = _numpy(g).choice(len(x), round(sample * len(x)), replace=False)
    part = round(stamped * len(index))
    images, mask = x.numpy()[index], trigger.mask.numpy()
    images[:part] += mask * (trigger.pattern.numpy() - images[:part])
    return torch.from_numpy(images), y[torch.from_numpy(index)]
