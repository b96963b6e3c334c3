# Takes every unit for a linear one: one gradient, at grey, says where all steps lead.
# levels: 3
# exercise: drive_unit
# grade: drive_unit=2
def drive_unit(model, unit, mask, steps, step, channels=1):
    grey = (0.5 * (mask > 0).float()).expand(1, channels, -1, -1).clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(mask * grey)[0, unit], grey)
    return (grey + steps * step * gradient.sign()).clamp(0, 1)[0].detach()
