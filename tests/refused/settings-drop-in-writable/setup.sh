chmod g+w portgrave.d/10-site.toml
