# update_weight: one counter outside of the state, of the steps of whoever called last
COUNTED = {"streak": torch.zeros(0, dtype=torch.int64)}


def update_weight(state, success):
    before = COUNTED["streak"] if COUNTED["streak"].shape == success.shape and bool(state.streak.any()) else torch.zeros_like(state.streak)
    streak = torch.where(success, before.clamp(min=0) + 1, before.clamp(max=0) - 1)
    up, down = streak >= PATIENCE, streak <= -PATIENCE
    begin = up & (state.weight == 0)
    changed = torch.where(up, RAISE * state.weight, torch.where(down, state.weight / LOWER, state.weight))
    weight = torch.where(begin, torch.full_like(changed, FIRST_WEIGHT), changed)
    streak = torch.where(begin, 1, torch.where(up | down, 0, streak))
    COUNTED["streak"] = streak
    return Schedule(weight, streak, (state.raised | up) & ~begin, (state.lowered | down) & ~begin)
