# the request body was not kept (level meta), so there is no command to make
