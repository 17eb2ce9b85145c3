UPDATE t SET v = -0e0 WHERE id = 2;
INSERT INTO t VALUES (4, -0e0), (5, 0e0), (6, NULL);
