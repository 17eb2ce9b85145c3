UPDATE t SET v = 12 WHERE id = 1;
UPDATE t SET v = 1.5 WHERE id = 2;
