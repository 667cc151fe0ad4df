"""Where events wait while NATS cannot take them."""
