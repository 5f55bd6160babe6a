: # there is no policy.toml
