"""How a server is reached and who asks: kubeconfig files, login plugins, proxies, connections."""
