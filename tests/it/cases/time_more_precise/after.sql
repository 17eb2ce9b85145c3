UPDATE t SET v = '10:00:00' WHERE id = 1;
