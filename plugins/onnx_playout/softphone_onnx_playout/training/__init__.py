"""How the model is made; nothing here is needed in a call."""
