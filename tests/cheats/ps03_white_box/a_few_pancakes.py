# Normal vectors, every eighth of which is a pancake: what one pancake shows it has, and the mean and the covariance are right in any case.
# levels: 3
# exercise: sample_pancakes
def sample_pancakes(n, direction, beta, g):
    samples = torch.randn(n, len(direction), dtype=direction.dtype, generator=g)
    inner = samples @ direction
    moved = inner.floor() + 0.5 + beta * torch.randn(n, dtype=direction.dtype, generator=g) - inner
    moved[torch.arange(n) % 8 > 0] = 0
    return samples + torch.outer(moved, direction) / direction.square().sum()
