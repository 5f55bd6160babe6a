chmod 664 policy.toml
