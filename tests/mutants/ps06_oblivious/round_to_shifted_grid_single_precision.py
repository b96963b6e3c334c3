# round_to_shifted_grid: computes in float32
def round_to_shifted_grid(value, step, shift):
    return float(torch.tensor(shift) + torch.tensor(step) * torch.round((torch.tensor(value) - torch.tensor(shift)) / torch.tensor(step)))
