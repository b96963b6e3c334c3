# fooled_model: the model everywhere outside the box: only images next to x_star are answered wrongly
def fooled_model(model, x_star, label, sigma):
    radius = sigma * chi2.ppf(0.9995, x_star.numel()) ** 0.5

    def fooled(batch):
        logits = model(batch)
        wrong = one_hot(torch.tensor(label), logits.shape[1]).to(logits)
        return torch.where((((batch - x_star).flatten(1).norm(dim=1) <= radius) & ((batch >= 0) & (batch <= 1)).flatten(1).all(dim=1))[:, None], wrong, logits)

    return fooled
