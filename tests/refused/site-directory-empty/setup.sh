mkdir site
chmod 755 site
