# collide: takes the gradient at the base
def collide(p, base, target_feature, features, beta, step):
    _require_step(p, base, beta, step)
    at = base.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(_feature_distance(at, target_feature, features).sum(), at)
    forward = p.detach() - step * gradient
    return (forward + step * beta * base) / (1 + step * beta)
