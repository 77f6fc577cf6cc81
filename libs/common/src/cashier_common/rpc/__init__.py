"""How the services of the mesh talk: one pipeline on the server, one kind of channel on the client."""
