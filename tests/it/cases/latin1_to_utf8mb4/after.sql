UPDATE t SET v = 'ä' WHERE id = 1;
INSERT INTO t VALUES (7, 'ж');
