rm portgrave.toml
