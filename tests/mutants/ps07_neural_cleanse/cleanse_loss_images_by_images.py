# cleanse_loss: blocks by image, in which all candidates follow one another: the loss is right, and who looks at the answers is misled
def cleanse_loss(model, x, masks, patterns, weights, labels=None):
    labels = torch.arange(len(masks)) if labels is None else labels
    m = masks[:, None, None]
    stamped = (1 - m) * x + m * patterns[:, None]
    logits = model(stamped.transpose(0, 1).flatten(0, 1))
    entropy = cross_entropy(logits, labels.repeat(len(x)), reduction="none").view(len(x), len(masks)).mean(dim=0)
    return entropy + weights * masks.sum(dim=(1, 2))
