SET sql_mode = '';
UPDATE t SET e = 0 WHERE id = 1;
INSERT INTO t VALUES (4, 0), (5, ''), (6, NULL);
