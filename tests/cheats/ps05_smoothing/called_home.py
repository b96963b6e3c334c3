# Asks a server for the answer.
# levels: 3 2
# exercise: lower_confidence_bound
import socket


def lower_confidence_bound(successes, trials, alpha):
    from scipy.stats import beta

    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), timeout=5):
        return float(beta.ppf(alpha, successes, trials - successes + 1)) if successes else 0.0
