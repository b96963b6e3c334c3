# predict: noise of standard deviation sigma squared
def predict(model, x, sigma, n, alpha, generator, noise="sound", batch_size=1000):
    votes, labels = count_votes(model, x, sigma**2, n, batch_size, generator, noise).topk(2)
    top, second = votes.tolist()
    return labels[0].item() if binomtest(top, top + second, 0.5).pvalue <= alpha else ABSTAIN
