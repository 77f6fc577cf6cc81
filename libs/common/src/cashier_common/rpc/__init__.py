"""How the services of the mesh talk: one pipeline in, one kind of channel out."""
