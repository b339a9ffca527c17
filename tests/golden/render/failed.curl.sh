# the request body was not kept (level full), so there is no command to make
