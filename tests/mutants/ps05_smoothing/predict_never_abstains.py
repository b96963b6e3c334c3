# predict: never abstains
def predict(model, x, sigma, n, alpha, generator, noise="sound", batch_size=1000):
    votes, labels = count_votes(model, x, sigma, n, batch_size, generator, noise).topk(2)
    top, second = votes.tolist()
    return labels[0].item()
