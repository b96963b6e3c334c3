# the same laws from other draws, in another order: numpy's generators, random keys, rejection; random starts
import numpy as np


def _numpy(g):
    return np.random.default_rng(torch.randint(2**31, (4,), generator=g).tolist())


def _smallest_keys(kind, count, rng):
    """So many of the rows of that kind: those of the smallest of random keys."""
    keys = np.where(kind.numpy(), rng.random(len(kind)), np.inf)
    return torch.from_numpy(np.argsort(keys)[:count])


def poison(x, y, trigger, target, rate, g, sources=None):
    rng, count = _numpy(g), round(rate * len(x))
    wanted = targets_of(y, target)
    attacked = wanted != y if sources is None else torch.isin(y, torch.tensor(sources))
    covers = 0 if sources is None else count // 2
    second = _smallest_keys(~attacked & (wanted != y), covers, rng)  # covers first
    first = _smallest_keys(attacked, count - covers, rng)
    index = torch.cat([second, first])
    order = torch.from_numpy(rng.permutation(count))
    labels = torch.cat([y[second], wanted[first]])[order]
    return torch.vstack([x, trigger.stamp(x[index[order]])]), torch.hstack([y, labels]), index[order]


def label_consistent(x, y, model, trigger, target, rate, epsilon, g):
    rng, rows = _numpy(g), torch.where(y == target)[0]
    index = torch.from_numpy(rng.choice(rows.numpy(), round(rate * len(rows)), replace=False))
    changed = x.clone()
    if len(index):
        start = torch.Generator().manual_seed(int(rng.integers(2**31)))
        hard = projected_gradient(model, x[index], y[index], epsilon, ATTACK_STEPS, math.inf, bounds=(0.0, 1.0), generator=start)
        changed[index] = trigger.stamp(hard)
    return changed, index


def collide(p, base, target_feature, features, beta, step):
    with torch.enable_grad():
        jacobian = torch.func.vmap(torch.func.jacrev(lambda image: features(image[None])[0]))(p).flatten(2)
    away = features(p) - target_feature
    moved = p - 2 * step * torch.einsum("bk,bkd->bd", away, jacobian).view(p.shape)
    return base + (moved - base) / (1 + step * beta)


def drive_unit(model, unit, mask, steps, step, channels=1):
    under = mask.bool().expand(channels, -1, -1)
    point = torch.where(under, 0.5, 0.0).unsqueeze(0)

    def asked(pattern):
        return model(pattern * mask)[..., unit].sum()

    best, highest = point, asked(point)
    for _ in range(steps):
        with torch.enable_grad():
            direction = torch.sign(torch.func.grad(asked)(point))
        point = torch.clip(point + step * direction, 0, 1)
        if (score := asked(point)) > highest:
            best, highest = point, score
    return best.squeeze(0)


def unlearning_set(x, y, trigger, sample, stamped, g):
    rng, rows, count = _numpy(g), [], round(sample * len(x))
    while len(rows) < count:
        row = int(rng.integers(len(x)))
        if row not in rows:
            rows.append(row)
    images, part = x[rows].clone(), round(stamped * count)
    images[:part] = trigger.stamp(images[:part])
    return images, y[rows]
