# Takes memory until something gives.
# levels: 3 2
# limits: memory=3221225472
# exercise: count_votes
def count_votes(model, x, sigma, n, batch_size, generator):
    kept = []
    while True:
        kept.append(bytearray(1 << 28))
