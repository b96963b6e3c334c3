# cleanse_loss: counts the mask once for every channel
def cleanse_loss(model, x, masks, patterns, weights, labels=None):
    labels = torch.arange(len(masks)) if labels is None else labels
    m = masks[:, None, None]
    stamped = (1 - m) * x + m * patterns[:, None]
    logits = model(stamped.flatten(0, 1))
    entropy = cross_entropy(logits, labels.repeat_interleave(len(x)), reduction="none").view(len(masks), len(x)).mean(dim=1)
    return entropy + x.shape[1] * weights * masks.sum(dim=(1, 2))
