UPDATE t SET v = 'twelve' WHERE id = 1;
INSERT INTO t VALUES (7, '007');
