UPDATE t SET v = x'0000' WHERE id = 1;
