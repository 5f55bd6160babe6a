chmod 664 bad.txt
