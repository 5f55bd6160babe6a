mkdir -p policy/a.toml
chmod 755 policy
