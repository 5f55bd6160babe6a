ln -s b.toml policy/a.toml
