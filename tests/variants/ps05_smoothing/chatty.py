# prints and warns on every call
import sys
import warnings


def lower_confidence_bound(successes, trials, alpha):
    print("bound of", successes, "of", trials)
    warnings.warn("zero successes") if successes == 0 else None
    return float(beta.ppf(alpha, successes, trials - successes + 1)) if successes > 0 else 0.0


def count_votes(model, x, sigma, n, batch_size, generator, noise="sound"):
    print("counting", file=sys.stderr)
    torch.tensor(x)  # torch warns of this
    sample, rest = noise_source(model, x, sigma, noise)
    votes = 0
    for start in range(0, n, batch_size):
        logits = rest(sample(min(batch_size, n - start), generator))
        votes = votes + logits.argmax(dim=1).bincount(minlength=logits.shape[1])
    return votes


def predict(model, x, sigma, n, alpha, generator, noise="sound", batch_size=1000):
    votes, labels = count_votes(model, x, sigma, n, batch_size, generator, noise).topk(2)
    top, second = votes.tolist()
    print(f"{top} against {second}", file=sys.stderr)
    return labels[0].item() if binomtest(top, top + second, 0.5).pvalue <= alpha else ABSTAIN
