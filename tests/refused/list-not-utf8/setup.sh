printf '192.0.2.1\n\377\n' > bad.txt
chmod 644 bad.txt
