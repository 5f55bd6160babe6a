mkdir policy
chmod 755 policy
mkfifo policy/a.toml
