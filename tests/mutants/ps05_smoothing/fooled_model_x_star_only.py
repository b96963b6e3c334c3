# fooled_model: the wrong label at x_star alone, where no noisy copy ever lies
def fooled_model(model, x_star, label, sigma):

    def fooled(batch):
        logits = model(batch)
        wrong = one_hot(torch.tensor(label), logits.shape[1]).to(logits)
        return torch.where((batch == x_star).flatten(1).all(dim=1)[:, None], wrong, logits)

    return fooled
