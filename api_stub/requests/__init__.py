"""How is a request read? Body, query, and the headers that change its meaning."""
