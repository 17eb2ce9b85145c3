INSERT INTO t VALUES (9, 'nine', 90);
UPDATE t SET n = 12, a = 'after' WHERE id = 1;
DELETE FROM t WHERE id = 3;
