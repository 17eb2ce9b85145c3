UPDATE t SET a = 'after' WHERE id = 1;
DELETE FROM t WHERE id = 2;
INSERT INTO t VALUES (9, 'nine', 1, 'c', 'q', 'p,q', '{}');
