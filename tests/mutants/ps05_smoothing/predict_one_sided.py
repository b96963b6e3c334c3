# predict: one-sided test, as if the leading class had been known beforehand
def predict(model, x, sigma, n, alpha, generator, noise="sound", batch_size=1000):
    votes, labels = count_votes(model, x, sigma, n, batch_size, generator, noise).topk(2)
    top, second = votes.tolist()
    p_value = binomtest(top, top + second, 0.5, alternative="greater").pvalue
    return labels[0].item() if p_value <= alpha else ABSTAIN
