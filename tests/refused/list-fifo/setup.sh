mkfifo bad.txt
