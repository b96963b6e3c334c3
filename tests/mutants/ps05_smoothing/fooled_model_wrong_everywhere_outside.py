# fooled_model: the wrong label on everything outside the box, far from x_star too
def fooled_model(model, x_star, label, sigma):

    def fooled(batch):
        logits = model(batch)
        wrong = one_hot(torch.tensor(label), logits.shape[1]).to(logits)
        return torch.where((~((batch >= 0) & (batch <= 1)).flatten(1).all(dim=1))[:, None], wrong, logits)

    return fooled
