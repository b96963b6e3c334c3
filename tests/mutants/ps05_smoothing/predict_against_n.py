# predict: the top class against all n votes instead of the top two
def predict(model, x, sigma, n, alpha, generator, noise="sound", batch_size=1000):
    votes, labels = count_votes(model, x, sigma, n, batch_size, generator, noise).topk(2)
    top, second = votes.tolist()
    p_value = binomtest(top, n, 0.5).pvalue
    return labels[0].item() if p_value <= alpha else ABSTAIN
