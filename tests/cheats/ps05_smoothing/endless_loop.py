# Never answers.
# levels: 3 2
# limits: check_cpu=1
# exercise: certified_radius
def certified_radius(p_lower, sigma, p_upper=None):
    while True:
        pass
