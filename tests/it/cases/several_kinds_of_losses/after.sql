UPDATE t SET a = 'longer than five', n = 1000, e = 'q' WHERE id = 1;
INSERT INTO t VALUES (9, 'duplicate', 5, 'q', 3);
