chmod 777 policy
