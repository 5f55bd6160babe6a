chmod 664 policy/b.toml
