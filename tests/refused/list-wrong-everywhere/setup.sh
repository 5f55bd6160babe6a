i=0
while [ $i -lt 30 ]; do echo wrong; i=$((i+1)); done > bad.txt
chmod 644 bad.txt
