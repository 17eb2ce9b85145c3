UPDATE t SET v = 0 WHERE id = 1;
