# triplicate: the network itself
def triplicate(network):
    return network
