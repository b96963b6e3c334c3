# cleanse_loss: the mean of the mask for its norm
def cleanse_loss(model, x, masks, patterns, weights, labels=None):
    labels = torch.arange(len(masks)) if labels is None else labels
    m = masks[:, None, None]
    stamped = (1 - m) * x + m * patterns[:, None]
    logits = model(stamped.flatten(0, 1))
    entropy = cross_entropy(logits, labels.repeat_interleave(len(x)), reduction="none").view(len(masks), len(x)).mean(dim=1)
    return entropy + weights * masks.mean(dim=(1, 2))
