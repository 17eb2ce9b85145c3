UPDATE t SET a = 'after' WHERE id = 1;
DELETE FROM t WHERE id = 2;
INSERT INTO t (id, a) VALUES (9, 'nine');
UPDATE t SET id = 10 WHERE id = 3;
