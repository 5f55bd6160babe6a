printf 'language = 1\n# \377\n' > policy.toml
chmod 644 policy.toml
