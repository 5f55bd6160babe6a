mkdir policy
chmod 755 policy
printf 'language = 2\n' > "policy/$(printf 'a\033[2Jb').toml"
chmod 644 policy/*
