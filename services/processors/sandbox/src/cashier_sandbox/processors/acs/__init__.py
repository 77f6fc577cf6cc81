"""3-D Secure: a 3DS server, a directory server and an issuer's access control server in one."""
