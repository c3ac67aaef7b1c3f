"""Target groups of Application, Network and Gateway Load Balancers."""
