# drive_unit: steps along the gradient, not its sign
def drive_unit(model, unit, mask, steps, step, channels=1):
    pattern = 0.5 * (mask > 0).float().expand(channels, -1, -1)
    best, highest = pattern, -math.inf
    for _ in range(steps + 1):
        pattern = pattern.detach().requires_grad_()
        score = model((mask * pattern)[None])[0, unit]
        (gradient,) = torch.autograd.grad(score, pattern)
        if score > highest:
            best, highest = pattern.detach(), float(score.detach())
        pattern = (pattern.detach() + step * gradient).clamp(0, 1)
    return best
