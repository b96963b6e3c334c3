# cleanse_loss: the pattern where the mask is 0
def cleanse_loss(model, x, masks, patterns, weights, labels=None):
    labels = torch.arange(len(masks)) if labels is None else labels
    m = masks[:, None, None]
    stamped = m * x + (1 - m) * patterns[:, None]
    logits = model(stamped.flatten(0, 1))
    entropy = cross_entropy(logits, labels.repeat_interleave(len(x)), reduction="none").view(len(masks), len(x)).mean(dim=1)
    return entropy + weights * masks.sum(dim=(1, 2))
