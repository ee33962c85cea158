"""How does a letter reach a mailbox? By SMTP, through one relay."""
