truncate -s 65M policy.toml
chmod 644 policy.toml
