"""Postroom beside real parts: mail servers, brokers, databases, proxies and clients as distributed."""
