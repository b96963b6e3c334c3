# collide: beta weighs the features
def collide(p, base, target_feature, features, beta, step):
    _require_step(p, base, beta, step)
    p = p.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(_feature_distance(p, target_feature, features).sum(), p)
    forward = p.detach() - step * beta * gradient
    return (forward + step * base) / (1 + step)
