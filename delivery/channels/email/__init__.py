"""How does a message reach a mailbox? By SMTP, through one relay."""
