UPDATE t SET v = 'ä' WHERE id = 1;
