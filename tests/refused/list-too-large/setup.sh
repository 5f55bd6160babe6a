truncate -s 65M bad.txt
chmod 644 bad.txt
