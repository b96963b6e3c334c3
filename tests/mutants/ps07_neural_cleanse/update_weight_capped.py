# update_weight: the weight is kept at 1 at most
def update_weight(state, success):
    streak = torch.where(success, state.streak.clamp(min=0) + 1, state.streak.clamp(max=0) - 1)
    up, down = streak >= PATIENCE, streak <= -PATIENCE
    begin = up & (state.weight == 0)
    changed = torch.where(up, RAISE * state.weight, torch.where(down, state.weight / LOWER, state.weight))
    weight = torch.where(begin, torch.full_like(changed, FIRST_WEIGHT), changed)
    weight = weight.clamp(max=0.05)
    streak = torch.where(begin, 1, torch.where(up | down, 0, streak))
    return Schedule(weight, streak, (state.raised | up) & ~begin, (state.lowered | down) & ~begin)
