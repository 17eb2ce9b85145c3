UPDATE t SET v = 'a,c' WHERE id = 1;
