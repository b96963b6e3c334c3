# collide: the distance, not its square
def collide(p, base, target_feature, features, beta, step):
    _require_step(p, base, beta, step)
    p = p.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(_feature_distance(p, target_feature, features).sqrt().sum(), p)
    forward = p.detach() - step * gradient
    return (forward + step * beta * base) / (1 + step * beta)
